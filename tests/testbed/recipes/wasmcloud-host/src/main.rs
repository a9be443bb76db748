//! The wasmCloud host as a program of its own: the crate, with the official host's command line and environment.

mod settings;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{signal, SignalKind};
use wasmcloud_host::WasmbusHost;

use settings::Settings;

const SHUTDOWN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let level = settings.log_level().into();
    let (dispatch, _flush) = wasmcloud_tracing::configure_observability(
        "wasmcloud-host",
        &settings.otel(),
        settings.structured_logging(),
        None::<&Path>,
        Some(&level),
        Some(&level),
    )?;
    tracing::dispatcher::set_global_default(dispatch)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (host, shutdown) = WasmbusHost::new(settings.host_config()?)
        .await
        .context("the host did not start")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        stopped = host.stopped() => { stopped?; }
    }
    drop(host);
    tokio::time::timeout(SHUTDOWN, shutdown)
        .await
        .context("the host did not shut down in time")?
}
