//! wadm as a program of its own, for the releases whose crate leaves the wiring to the program around it.
//!
//! One NATS account, one JetStream domain; every lattice whose hosts are heard is served.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::{Config as BucketConfig, Store as Bucket};
use async_nats::jetstream::stream::{Config, RetentionPolicy, Source, Stream, SubjectTransform};
use async_nats::jetstream::{self, Context};
use clap::Parser;
use futures::StreamExt;
use tokio::sync::Semaphore;
use tracing_subscriber::EnvFilter;
use wadm::consumers::manager::{ConsumerManager, WorkerCreator};
use wadm::consumers::{CommandConsumer, EventConsumer};
use wadm::scaler::manager::{ScalerManager, WADM_NOTIFY_PREFIX};
use wadm::server::{ManifestNotifier, Server};
use wadm::storage::{nats_kv::NatsKvStore, reaper::Reaper};
use wadm::workers::{CommandPublisher, CommandWorker, EventWorker, StatusPublisher};
use wasmcloud_control_interface::{Client as Control, ClientBuilder};

/// What the testbed sets, by the names that wadm's own program has for it.
#[derive(Parser)]
struct Settings {
    #[arg(long, env = "WADM_NATS_SERVER", default_value = "127.0.0.1:4222")]
    nats_server: String,
    #[arg(long, env = "WADM_JETSTREAM_DOMAIN")]
    jetstream_domain: Option<String>,
    #[arg(long, env = "WADM_API_PREFIX", default_value = "wadm.api")]
    api_prefix: String,
    #[arg(long, env = "WADM_CLEANUP_INTERVAL", default_value_t = 120)]
    cleanup_interval: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let client = async_nats::connect(settings.nats_server).await?;
    let context = match settings.jetstream_domain {
        Some(domain) => jetstream::with_domain(client.clone(), domain),
        None => jetstream::new(client.clone()),
    };
    let manifests = bucket(&context, "wadm_manifests").await?;
    let state = NatsKvStore::new(bucket(&context, "wadm_state").await?);
    let streams = Streams::ensure(&context).await?;

    let permits = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
    let event_workers = EventWorkers {
        client: client.clone(),
        context: context.clone(),
        state: state.clone(),
        manifests: manifests.clone(),
        notify: streams.notify,
        status: streams.status.clone(),
    };
    let command_workers = CommandWorkers(client.clone());
    let lattices = Lattices {
        // before the API answers, so that no host is missed by then
        heard: client.subscribe(wadm::DEFAULT_EVENTS_TOPIC).await?,
        known: HashSet::new(),
        reaper: Reaper::new(state, Duration::from_secs(settings.cleanup_interval / 2), []),
        events: ConsumerManager::new(permits.clone(), streams.consumed, event_workers.clone(), false).await,
        commands: ConsumerManager::new(permits, streams.commands, command_workers.clone(), false).await,
        event_workers,
        command_workers,
    };
    let notifier = ManifestNotifier::new("wadm.evt", context);
    let server = Server::new(manifests, client, Some(&settings.api_prefix), false, streams.status, notifier).await?;
    tokio::select! {
        ended = server.serve() => ended,
        ended = lattices.serve() => ended,
    }
}

async fn bucket(context: &Context, name: &str) -> anyhow::Result<Bucket> {
    if let Ok(found) = context.get_key_value(name).await {
        return Ok(found);
    }
    let config = BucketConfig {
        bucket: name.to_owned(),
        history: 1,
        ..Default::default()
    };
    Ok(context.create_key_value(config).await?)
}

struct Streams {
    commands: Stream,
    status: Stream,
    notify: Stream,
    /// The hosts' events and those of wadm itself, in one.
    consumed: Stream,
}

impl Streams {
    async fn ensure(context: &Context) -> anyhow::Result<Self> {
        let make = |config: Config| context.get_or_create_stream(config);
        let own = make(stream("wadm_events", wadm::DEFAULT_WADM_EVENTS_TOPIC, RetentionPolicy::Limits)).await?;
        let hosts = make(stream("wasmbus_events", wadm::DEFAULT_EVENTS_TOPIC, RetentionPolicy::Limits)).await?;
        let commands = make(stream("wadm_commands", wadm::DEFAULT_COMMANDS_TOPIC, RetentionPolicy::WorkQueue)).await?;
        let notified = format!("{WADM_NOTIFY_PREFIX}.*");
        let notify = make(stream("wadm_notify", &notified, RetentionPolicy::Interest)).await?;
        let status = make(Config {
            allow_direct: true,
            max_messages_per_subject: 10,
            max_age: Duration::ZERO,
            ..stream("wadm_status", wadm::DEFAULT_STATUS_TOPIC, RetentionPolicy::Limits)
        })
        .await?;
        let consumed = make(Config {
            subjects: Vec::new(),
            sources: Some(vec![into_consumed(&own), into_consumed(&hosts)]),
            ..stream("wadm_event_consumer", "", RetentionPolicy::WorkQueue)
        })
        .await?;
        Ok(Self { commands, status, notify, consumed })
    }
}

fn stream(name: &str, subject: &str, retention: RetentionPolicy) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        retention,
        max_age: wadm::DEFAULT_EXPIRY_TIME,
        num_replicas: 1,
        ..Default::default()
    }
}

fn into_consumed(stream: &Stream) -> Source {
    let config = &stream.cached_info().config;
    let destination = wadm::DEFAULT_WADM_EVENT_CONSUMER_TOPIC.replacen('*', "{{wildcard(1)}}", 1);
    Source {
        name: config.name.clone(),
        subject_transforms: vec![SubjectTransform {
            source: config.subjects[0].clone(),
            destination,
        }],
        ..Default::default()
    }
}

/// Has each lattice served from the first event of one of its hosts on.
struct Lattices {
    heard: async_nats::Subscriber,
    known: HashSet<String>,
    reaper: Reaper<NatsKvStore>,
    events: ConsumerManager<EventConsumer>,
    commands: ConsumerManager<CommandConsumer>,
    event_workers: EventWorkers,
    command_workers: CommandWorkers,
}

impl Lattices {
    async fn serve(mut self) -> anyhow::Result<()> {
        while let Some(message) = self.heard.next().await {
            let parts: Vec<&str> = message.subject.split('.').collect();
            if let ["wasmbus", "evt", lattice, "host_started" | "host_heartbeat"] = parts[..] {
                if !self.known.contains(lattice) {
                    self.add(lattice).await?;
                    self.known.insert(lattice.to_owned());
                }
            }
        }
        anyhow::bail!("the subscription to the hosts' events ended")
    }

    async fn add(&mut self, lattice: &str) -> anyhow::Result<()> {
        self.reaper.observe(lattice);
        let commands = wadm::DEFAULT_COMMANDS_TOPIC.replace('*', lattice);
        if !self.commands.has_consumer(&commands).await {
            let worker = self.command_workers.create(lattice, None).await?;
            let added = self.commands.add_for_lattice(&commands, lattice, None, worker).await;
            added.map_err(|error| anyhow::anyhow!(error))?;
        }
        let events = wadm::DEFAULT_WADM_EVENT_CONSUMER_TOPIC.replace('*', lattice);
        if !self.events.has_consumer(&events).await {
            let worker = self.event_workers.create(lattice, None).await?;
            let added = self.events.add_for_lattice(&events, lattice, None, worker).await;
            added.map_err(|error| anyhow::anyhow!(error))?;
        }
        Ok(())
    }
}

fn control(client: &async_nats::Client, lattice: &str) -> Control {
    ClientBuilder::new(client.clone()).lattice(lattice).build()
}

#[derive(Clone)]
struct CommandWorkers(async_nats::Client);

#[async_trait::async_trait]
impl WorkerCreator for CommandWorkers {
    type Output = CommandWorker;

    async fn create(&self, lattice: &str, _account: Option<&str>) -> anyhow::Result<CommandWorker> {
        Ok(CommandWorker::new(control(&self.0, lattice)))
    }
}

#[derive(Clone)]
struct EventWorkers {
    client: async_nats::Client,
    context: Context,
    state: NatsKvStore,
    manifests: Bucket,
    notify: Stream,
    status: Stream,
}

#[async_trait::async_trait]
impl WorkerCreator for EventWorkers {
    type Output = EventWorker<NatsKvStore, Control, Context>;

    async fn create(&self, lattice: &str, account: Option<&str>) -> anyhow::Result<Self::Output> {
        let control = control(&self.client, lattice);
        let commands = CommandPublisher::new(self.context.clone(), &format!("wadm.cmd.{lattice}"));
        let status_subject = format!("wadm.status.{lattice}");
        let status = StatusPublisher::new(self.context.clone(), Some(self.status.clone()), &status_subject);
        let scalers = ScalerManager::new(
            self.context.clone(),
            self.notify.clone(),
            lattice,
            account,
            self.state.clone(),
            self.manifests.clone(),
            commands.clone(),
            status.clone(),
            control.clone(),
        )
        .await?;
        Ok(EventWorker::new(self.state.clone(), control, commands, status, scalers))
    }
}
