//! Variables for where policies come from, and when weir is ready.

use std::path::PathBuf;
use std::time::Duration;

use super::super::ServeSettings;
use super::RatelimitError;
use super::ports::file;
use super::value::{InvalidValue, boolean, count, duration, pairs, set};
use super::variable::{VariableGroup, ignored, used};
use crate::client::TlsOptions;
use crate::server::ReadyCondition;
use crate::xds::XdsConfig;

/// Where policies come from.
pub(super) struct Source {
    kind: SourceKind,
    root: PathBuf,
    subdirectory: PathBuf,
    app_directory: PathBuf,
    merge_domains: bool,
    starts_without: bool,
    needs_domain: bool,
    server: String,
    node_id: String,
    node_metadata: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    has_tls: bool,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    server_name: String,
    first_pause: Option<Duration>,
    longest_pause: Option<Duration>,
    max_message_bytes: Option<u64>,
}

/// `CONFIG_TYPE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SourceKind {
    #[default]
    File,
    Xds,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            kind: SourceKind::default(),
            root: "/srv/runtime_data/current".into(),
            subdirectory: PathBuf::new(),
            app_directory: "config".into(),
            merge_domains: false,
            starts_without: false,
            needs_domain: false,
            server: "localhost:18000".to_owned(),
            node_id: "default".to_owned(),
            node_metadata: Vec::new(),
            headers: Vec::new(),
            has_tls: false,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            ca: PathBuf::new(),
            server_name: String::new(),
            first_pause: None,
            longest_pause: None,
            max_message_bytes: None,
        }
    }
}

pub(super) const GROUP: VariableGroup<Source> = VariableGroup {
    title: "Configuration",
    variables: &[
        used(
            "CONFIG_TYPE",
            "FILE",
            "`FILE` or `GRPC_XDS_SOTW`",
            |raw, value| set(&mut raw.kind, kind(value)),
        ),
        used(
            "RUNTIME_ROOT",
            "/srv/runtime_data/current",
            "with RUNTIME_SUBDIRECTORY and RUNTIME_APPDIRECTORY below it, the folder of the files, whatever their names are",
            |raw, value| set(&mut raw.root, Ok(value.into())),
        ),
        used(
            "RUNTIME_SUBDIRECTORY",
            "",
            "folder below RUNTIME_ROOT",
            |raw, value| set(&mut raw.subdirectory, Ok(value.into())),
        ),
        used(
            "RUNTIME_APPDIRECTORY",
            "config",
            "folder below that",
            |raw, value| set(&mut raw.app_directory, Ok(value.into())),
        ),
        used(
            "RUNTIME_IGNOREDOTFILES",
            "false",
            "hidden files are never read, whatever the value is",
            |_, value| boolean(value).map(drop),
        ),
        used(
            "RUNTIME_WATCH_ROOT",
            "true",
            "changes are noticed by content, with either value: files, links and whole folders",
            |_, value| boolean(value).map(drop),
        ),
        used(
            "MERGE_DOMAIN_CONFIG",
            "false",
            "files, or resources of a configuration server, of one domain are merged",
            |raw, value| set(&mut raw.merge_domains, boolean(value)),
        ),
        used(
            "FORCE_START_WITHOUT_INITIAL_CONFIG",
            "false",
            "health checks are good before the first configuration",
            |raw, value| set(&mut raw.starts_without, boolean(value)),
        ),
        used(
            "HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED",
            "false",
            "health checks are bad while no domain is defined",
            |raw, value| set(&mut raw.needs_domain, boolean(value)),
        ),
        used(
            "CONFIG_GRPC_XDS_SERVER_URL",
            "localhost:18000",
            "the configuration server: HOST:PORT",
            |raw, value| set(&mut raw.server, server(value)),
        ),
        used(
            "CONFIG_GRPC_XDS_NODE_ID",
            "default",
            "`node.id`",
            |raw, value| set(&mut raw.node_id, Ok(value.into())),
        ),
        used(
            "CONFIG_GRPC_XDS_NODE_METADATA",
            "",
            "`node.metadata`: name=value,name=value",
            |raw, value| set(&mut raw.node_metadata, pairs(value, '=')),
        ),
        used(
            "CONFIG_GRPC_XDS_CLIENT_ADDITIONAL_HEADERS",
            "",
            "header fields of the stream: name:value,name:value",
            |raw, value| set(&mut raw.headers, pairs(value, ':')),
        ),
        used(
            "CONFIG_GRPC_XDS_SERVER_USE_TLS",
            "false",
            "TLS to the configuration server",
            |raw, value| set(&mut raw.has_tls, boolean(value)),
        ),
        used(
            "CONFIG_GRPC_XDS_CLIENT_TLS_CERT",
            "",
            "PEM file with the client's certificate; these files are read again for each connection",
            |raw, value| set(&mut raw.certificate, Ok(value.into())),
        ),
        used(
            "CONFIG_GRPC_XDS_CLIENT_TLS_KEY",
            "",
            "PEM file with its private key",
            |raw, value| set(&mut raw.key, Ok(value.into())),
        ),
        used(
            "CONFIG_GRPC_XDS_SERVER_TLS_CACERT",
            "",
            "PEM file with the CA of the server, instead of those of the system",
            |raw, value| set(&mut raw.ca, Ok(value.into())),
        ),
        used(
            "CONFIG_GRPC_XDS_SERVER_TLS_SAN",
            "",
            "name in the server's certificate",
            |raw, value| set(&mut raw.server_name, Ok(value.into())),
        ),
        used(
            "XDS_CLIENT_BACKOFF_INITIAL_INTERVAL",
            "10s",
            "pause before the first new connection; 1s in weir if it is not set",
            |raw, value| set(&mut raw.first_pause, duration(value).map(Some)),
        ),
        used(
            "XDS_CLIENT_BACKOFF_MAX_INTERVAL",
            "60s",
            "the longest pause, to which the first one doubles; 30s in weir if it is not set",
            |raw, value| set(&mut raw.longest_pause, duration(value).map(Some)),
        ),
        ignored(
            "XDS_CLIENT_BACKOFF_RANDOM_FACTOR",
            "0.5",
            "pauses double, shortened by up to half at random",
        ),
        ignored(
            "XDS_CLIENT_BACKOFF_JITTER",
            "true",
            "pauses are always shortened at random",
        ),
        ignored(
            "CONFIG_GRPC_XDS_SERVER_CONNECT_RETRY_INTERVAL",
            "3s",
            "the pauses are those of XDS_CLIENT_BACKOFF_INITIAL_INTERVAL and XDS_CLIENT_BACKOFF_MAX_INTERVAL",
        ),
        used(
            "XDS_CLIENT_MAX_MSG_SIZE_IN_BYTES",
            "",
            "longest configuration; at least, and if it is not set, 64 MiB",
            |raw, value| set(&mut raw.max_message_bytes, count(value).map(Some)),
        ),
    ],
};

impl Source {
    pub(super) fn apply(self, settings: &mut ServeSettings) -> Result<(), RatelimitError> {
        settings.ready_when = ReadyCondition {
            policy: !self.starts_without,
            domain: self.needs_domain,
            ..settings.ready_when
        };
        settings.allow_empty = true;
        settings.lenient_files = true;
        settings.merge_domains = self.merge_domains;
        match self.kind {
            SourceKind::File => {
                let folder = self.root.join(&self.subdirectory).join(&self.app_directory);
                settings.policies = vec![folder];
                settings.xds = None;
            }
            SourceKind::Xds => settings.xds = Some(self.xds()?),
        }
        Ok(())
    }

    fn xds(self) -> Result<XdsConfig, RatelimitError> {
        let base = XdsConfig::default();
        let first_pause = self.first_pause.unwrap_or(base.first_pause);
        let longest_pause = self.longest_pause.unwrap_or(base.longest_pause);
        let identity = match (file(self.certificate), file(self.key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (None, Some(_)) => {
                return Err(pair(
                    "CONFIG_GRPC_XDS_CLIENT_TLS_CERT",
                    "CONFIG_GRPC_XDS_CLIENT_TLS_KEY is set",
                ));
            }
            (Some(_), None) => {
                return Err(pair(
                    "CONFIG_GRPC_XDS_CLIENT_TLS_KEY",
                    "CONFIG_GRPC_XDS_CLIENT_TLS_CERT is set",
                ));
            }
        };
        let max_message_bytes = self
            .max_message_bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or_default();
        Ok(XdsConfig {
            server: self.server,
            node_id: self.node_id,
            node_metadata: self.node_metadata,
            headers: self.headers,
            tls: self.has_tls.then(|| TlsOptions {
                ca: file(self.ca),
                identity,
                server_name: Some(self.server_name).filter(|name| !name.is_empty()),
            }),
            max_message_bytes: max_message_bytes.max(base.max_message_bytes),
            first_pause,
            longest_pause: longest_pause.max(first_pause),
            ..base
        })
    }
}

fn pair(name: &'static str, because: &'static str) -> RatelimitError {
    RatelimitError::Missing { name, because }
}

fn kind(value: &str) -> Result<SourceKind, InvalidValue> {
    match value {
        "FILE" => Ok(SourceKind::File),
        "GRPC_XDS_SOTW" => Ok(SourceKind::Xds),
        _ => Err(InvalidValue("FILE or GRPC_XDS_SOTW")),
    }
}

fn server(value: &str) -> Result<String, InvalidValue> {
    super::super::xds_server(value.strip_prefix("dns:///").unwrap_or(value))
        .map_err(|_| InvalidValue("HOST:PORT, such as envoy-gateway:18001"))
}
