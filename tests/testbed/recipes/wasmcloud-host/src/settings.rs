//! The command line and environment of the official host, as far as pods of the operator use it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use wasmcloud_core::{OtelConfig, OtelProtocol};
use wasmcloud_host::url::Url;
use wasmcloud_host::wasmbus::host_config::PolicyService;
use wasmcloud_host::wasmbus::Features;
use wasmcloud_host::{OciConfig, WasmbusHostConfig};

const LABEL_PREFIX: &str = "WASMCLOUD_LABEL_";

#[derive(Debug, Parser)]
#[command(name = "wasmcloud-host", version, about = "The wasmCloud host, for tests")]
pub struct Settings {
    #[arg(short = 'x', long, env = "WASMCLOUD_LATTICE", default_value = "default")]
    lattice: String,
    #[arg(long, env = "WASMCLOUD_JS_DOMAIN")]
    js_domain: Option<String>,
    /// key=value, beside those of the environment (WASMCLOUD_LABEL_key=value)
    #[arg(short = 'l', long)]
    label: Vec<String>,
    #[arg(long, env = "WASMCLOUD_HEARTBEAT_INTERVAL")]
    heartbeat_interval_seconds: Option<u64>,
    #[arg(long, env = "WASMCLOUD_PROV_SHUTDOWN_DELAY_MS", default_value_t = 300)]
    provider_shutdown_delay_ms: u64,
    #[arg(long, env = "WASMCLOUD_MAX_LINEAR_MEMORY", default_value_t = 256 * 1024 * 1024)]
    max_linear_memory_bytes: u32,
    #[arg(long, env = "WASMCLOUD_HTTP_ADMIN")]
    http_admin: Option<SocketAddr>,
    #[arg(long, env = "WASMCLOUD_CONFIG_SERVICE")]
    config_service_enabled: bool,
    #[arg(long, env = "WASMCLOUD_SECRETS_TOPIC")]
    secrets_topic: Option<String>,
    #[arg(long = "feature", env = "WASMCLOUD_EXPERIMENTAL_FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// authorities for registries and OpenTelemetry
    #[arg(long = "tls-ca-path", env = "WASMCLOUD_TLS_CA_PATH", value_delimiter = ',')]
    tls_ca_paths: Vec<PathBuf>,
    #[command(flatten)]
    nats: Nats,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    registry: Registry,
    #[command(flatten)]
    observability: Observability,
}

#[derive(Debug, clap::Args)]
struct Nats {
    #[arg(long, env = "WASMCLOUD_NATS_HOST", default_value = "127.0.0.1")]
    nats_host: String,
    #[arg(long, env = "WASMCLOUD_NATS_PORT", default_value_t = 4222)]
    nats_port: u16,
    #[arg(long, env = "WASMCLOUD_CTL_HOST")]
    ctl_host: Option<String>,
    #[arg(long, env = "WASMCLOUD_CTL_PORT")]
    ctl_port: Option<u16>,
    #[arg(long, env = "WASMCLOUD_CTL_TLS")]
    ctl_tls: bool,
    #[arg(long, env = "WASMCLOUD_CTL_TOPIC_PREFIX", default_value = "wasmbus.ctl")]
    ctl_topic_prefix: String,
    #[arg(long, env = "WASMCLOUD_RPC_HOST")]
    rpc_host: Option<String>,
    #[arg(long, env = "WASMCLOUD_RPC_PORT")]
    rpc_port: Option<u16>,
    #[arg(long, env = "WASMCLOUD_RPC_TLS")]
    rpc_tls: bool,
    #[arg(long, env = "WASMCLOUD_RPC_TIMEOUT_MS", default_value_t = 2000)]
    rpc_timeout_ms: u64,
}

#[derive(Debug, clap::Args)]
struct Policy {
    #[arg(long, env = "WASMCLOUD_POLICY_TOPIC")]
    policy_topic: Option<String>,
    #[arg(long, env = "WASMCLOUD_POLICY_CHANGES_TOPIC", requires = "policy_topic")]
    policy_changes_topic: Option<String>,
    #[arg(long, env = "WASMCLOUD_POLICY_TIMEOUT", requires = "policy_topic")]
    policy_timeout_ms: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct Registry {
    /// on by default, unlike the official host: tests have components in files
    #[arg(long, env = "WASMCLOUD_ALLOW_FILE_LOAD", default_value = "true", action = clap::ArgAction::Set)]
    allow_file_load: bool,
    #[arg(long, env = "WASMCLOUD_OCI_ALLOW_LATEST")]
    allow_latest: bool,
    #[arg(long, env = "WASMCLOUD_OCI_ALLOWED_INSECURE", value_delimiter = ',')]
    allowed_insecure: Vec<String>,
    #[arg(long, env = "WASMCLOUD_OCI_REGISTRY", requires_all = ["oci_user", "oci_password"])]
    oci_registry: Option<String>,
    #[arg(long, env = "WASMCLOUD_OCI_REGISTRY_USER", requires_all = ["oci_registry", "oci_password"])]
    oci_user: Option<String>,
    #[arg(long, env = "WASMCLOUD_OCI_REGISTRY_PASSWORD", requires_all = ["oci_registry", "oci_user"], hide_env_values = true)]
    oci_password: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Observability {
    #[arg(long, env = "WASMCLOUD_LOG_LEVEL", default_value_t = tracing::Level::INFO)]
    log_level: tracing::Level,
    #[arg(long, env = "WASMCLOUD_STRUCTURED_LOGGING_ENABLED")]
    enable_structured_logging: bool,
    #[arg(
        long,
        env = "WASMCLOUD_OBSERVABILITY_ENABLED",
        conflicts_with_all = ["enable_traces", "enable_metrics", "enable_logs"]
    )]
    enable_observability: bool,
    #[arg(long, env = "WASMCLOUD_TRACES_ENABLED")]
    enable_traces: Option<bool>,
    #[arg(long, env = "WASMCLOUD_METRICS_ENABLED")]
    enable_metrics: Option<bool>,
    #[arg(long, env = "WASMCLOUD_LOGS_ENABLED")]
    enable_logs: Option<bool>,
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    override_observability_endpoint: Option<String>,
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    override_traces_endpoint: Option<String>,
    #[arg(long, env = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")]
    override_metrics_endpoint: Option<String>,
    #[arg(long, env = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")]
    override_logs_endpoint: Option<String>,
    #[arg(long, env = "WASMCLOUD_OBSERVABILITY_PROTOCOL", default_value = "http")]
    observability_protocol: OtelProtocol,
}

impl Settings {
    pub fn structured_logging(&self) -> bool {
        self.observability.enable_structured_logging
    }

    pub fn log_level(&self) -> tracing::Level {
        self.observability.log_level
    }

    pub fn otel(&self) -> OtelConfig {
        let given = &self.observability;
        OtelConfig {
            enable_observability: given.enable_observability,
            enable_traces: given.enable_traces,
            enable_metrics: given.enable_metrics,
            enable_logs: given.enable_logs,
            observability_endpoint: given.override_observability_endpoint.clone(),
            traces_endpoint: given.override_traces_endpoint.clone(),
            metrics_endpoint: given.override_metrics_endpoint.clone(),
            logs_endpoint: given.override_logs_endpoint.clone(),
            protocol: given.observability_protocol,
            additional_ca_paths: self.tls_ca_paths.clone(),
            trace_level: given.log_level.into(),
            ..OtelConfig::default()
        }
    }

    pub fn host_config(&self) -> anyhow::Result<WasmbusHostConfig> {
        let Nats {
            nats_host, nats_port, ..
        } = &self.nats;
        let nats = |host: &Option<String>, port: Option<u16>| {
            let host = host.as_ref().unwrap_or(nats_host);
            let port = port.unwrap_or(*nats_port);
            Url::parse(&format!("nats://{host}:{port}")).with_context(|| format!("no NATS address: {host}:{port}"))
        };
        let asked_for = self.features.iter().map(|name| Features::from(name.as_str()));
        Ok(WasmbusHostConfig {
            ctl_nats_url: nats(&self.nats.ctl_host, self.nats.ctl_port)?,
            ctl_tls: self.nats.ctl_tls,
            ctl_topic_prefix: self.nats.ctl_topic_prefix.clone(),
            rpc_nats_url: nats(&self.nats.rpc_host, self.nats.rpc_port)?,
            rpc_tls: self.nats.rpc_tls,
            rpc_timeout: Duration::from_millis(self.nats.rpc_timeout_ms),
            lattice: Arc::from(self.lattice.as_str()),
            js_domain: self.js_domain.clone(),
            labels: labels(std::env::vars(), &self.label)?,
            provider_shutdown_delay: Some(Duration::from_millis(self.provider_shutdown_delay_ms)),
            oci_opts: OciConfig {
                additional_ca_paths: self.tls_ca_paths.clone(),
                allow_latest: self.registry.allow_latest,
                allowed_insecure: self.registry.allowed_insecure.clone(),
                oci_registry: self.registry.oci_registry.clone(),
                oci_user: self.registry.oci_user.clone(),
                oci_password: self.registry.oci_password.clone(),
            },
            allow_file_load: self.registry.allow_file_load,
            enable_structured_logging: self.structured_logging(),
            log_level: self.log_level().into(),
            config_service_enabled: self.config_service_enabled,
            otel_config: self.otel(),
            policy_service_config: PolicyService {
                policy_topic: self.policy.policy_topic.clone(),
                policy_changes_topic: self.policy.policy_changes_topic.clone(),
                policy_timeout_ms: self.policy.policy_timeout_ms.map(Duration::from_millis),
            },
            secrets_topic_prefix: self.secrets_topic.clone(),
            max_linear_memory: self.max_linear_memory_bytes,
            heartbeat_interval: self.heartbeat_interval_seconds.map(Duration::from_secs),
            experimental_features: asked_for.fold(Features::new().enable_builtin_http_server(), |all, one| all | one),
            http_admin: self.http_admin,
            ..WasmbusHostConfig::default()
        })
    }
}

/// Those of the environment, then those of the command line, which win.
fn labels(env: impl Iterator<Item = (String, String)>, given: &[String]) -> anyhow::Result<HashMap<String, String>> {
    let mut labels: HashMap<String, String> = env
        .filter_map(|(name, value)| Some((name.strip_prefix(LABEL_PREFIX)?.to_string(), value)))
        .collect();
    for label in given {
        let (key, value) = label
            .split_once('=')
            .with_context(|| format!("--label {label}: not key=value"))?;
        labels.insert(key.to_string(), value.to_string());
    }
    Ok(labels)
}
