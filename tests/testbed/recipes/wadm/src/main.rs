//! wadm as a program of its own: the crate with the command line and environment it defines itself.

use clap::Parser;
use tracing_subscriber::EnvFilter;
use wadm::config::WadmConfig;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = WadmConfig::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let mut tasks = wadm::start_wadm(config).await?;
    while let Some(ended) = tasks.join_next().await {
        ended??; // neither task ends by itself: the first that does ends the process
    }
    Ok(())
}
