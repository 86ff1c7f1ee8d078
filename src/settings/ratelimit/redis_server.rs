//! Variables for Redis.

use std::path::PathBuf;

use super::super::ServeSettings;
use super::RatelimitError;
use super::counting::{Backend, Counting};
use super::ports::file;
use super::value::{InvalidValue, boolean, set};
use super::variable::{Variable, VariableGroup, ignored, refused, used};

/// How to reach Redis. Not `Debug`: it has passwords.
pub(super) struct RedisVariables {
    main: ServerVariables,
    per_second: ServerVariables,
    has_per_second: bool,
    prefix: String,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    must_be_connected: bool,
}

/// What is set for each Redis apart.
struct ServerVariables {
    is_socket: bool,
    kind: RedisKind,
    url: String,
    auth: String,
    sentinel_auth: String,
    has_tls: bool,
}

impl ServerVariables {
    fn new(socket: &str) -> Self {
        Self {
            is_socket: true,
            kind: RedisKind::default(),
            url: socket.to_owned(),
            auth: String::new(),
            sentinel_auth: String::new(),
            has_tls: false,
        }
    }
}

impl Default for RedisVariables {
    fn default() -> Self {
        Self {
            main: ServerVariables::new(SOCKET),
            per_second: ServerVariables::new(PER_SECOND_SOCKET),
            has_per_second: false,
            prefix: String::new(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            ca: PathBuf::new(),
            must_be_connected: false,
        }
    }
}

/// `REDIS_TYPE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RedisKind {
    #[default]
    Single,
    Sentinel,
    Cluster,
}

/// The sockets of `REDIS_URL` and `REDIS_PERSECOND_URL` if these are not set.
const SOCKET: &str = "/var/run/nutcracker/ratelimit.sock";
const PER_SECOND_SOCKET: &str = "/var/run/nutcracker/ratelimitpersecond.sock";

/// Where Redis is, and how to log in. Not `Debug`: it has passwords.
pub(in crate::settings) struct RedisServer {
    /// An address as `--store` takes it, perhaps with a login.
    pub(in crate::settings) address: String,
    /// User and password, if the address has none.
    pub(in crate::settings) login: Option<UserPassword>,
    /// The same for sentinels.
    pub(in crate::settings) sentinel_login: Option<UserPassword>,
    /// The prefix of all keys.
    pub(in crate::settings) prefix: String,
    /// CA certificates.
    pub(in crate::settings) ca: Option<PathBuf>,
    /// The client certificate and its key.
    pub(in crate::settings) identity: Option<(PathBuf, PathBuf)>,
    /// Whether counters over their limit are remembered.
    pub(in crate::settings) has_local_cache: bool,
}

/// A user, or none for the default one, and a password.
pub(in crate::settings) struct UserPassword {
    pub(in crate::settings) user: Option<String>,
    pub(in crate::settings) password: String,
}

/// Why settings of pools and pipelines have no effect.
const OWN_CONNECTIONS: &str =
    "each worker has a connection of its own, on which its calls share commands";

/// Why the time of connections has no effect.
const NO_TIMEOUT: &str = "connections are made apart from calls, which wait for Redis as long as WEIR_REDIS_DEADLINE says, in milliseconds (10)";

pub(super) const GROUP: VariableGroup<RedisVariables> = VariableGroup {
    title: "Redis",
    variables: VARIABLES,
};

const VARIABLES: &[Variable<RedisVariables>] = &[
    used(
        "REDIS_SOCKET_TYPE",
        "unix",
        "`tcp` or `unix`",
        |raw, value| set(&mut raw.main.is_socket, socket_type(value)),
    ),
    used(
        "REDIS_TYPE",
        "SINGLE",
        "`SINGLE`, `SENTINEL` or `CLUSTER`",
        |raw, value| set(&mut raw.main.kind, kind(value)),
    ),
    used(
        "REDIS_URL",
        SOCKET,
        "HOST:PORT or redis://…, the path of a socket, `SERVICE,HOST:PORT,…` for sentinels, `HOST:PORT,…` for a cluster",
        |raw, value| set(&mut raw.main.url, Ok(value.to_owned())),
    ),
    used(
        "REDIS_AUTH",
        "",
        "password, or user:password",
        |raw, value| set(&mut raw.main.auth, Ok(value.into())),
    ),
    used(
        "REDIS_SENTINEL_AUTH",
        "",
        "the same for the sentinels",
        |raw, value| set(&mut raw.main.sentinel_auth, Ok(value.into())),
    ),
    used("REDIS_TLS", "false", "TLS to Redis", |raw, value| {
        set(&mut raw.main.has_tls, boolean(value))
    }),
    used(
        "REDIS_TLS_CLIENT_CERT",
        "",
        "PEM file with the client's certificate",
        |raw, value| set(&mut raw.certificate, Ok(value.into())),
    ),
    used(
        "REDIS_TLS_CLIENT_KEY",
        "",
        "PEM file with its private key",
        |raw, value| set(&mut raw.key, Ok(value.into())),
    ),
    used(
        "REDIS_TLS_CACERT",
        "",
        "PEM file with the CA of Redis, instead of those of the system",
        |raw, value| set(&mut raw.ca, Ok(value.into())),
    ),
    refused(
        "REDIS_TLS_SKIP_HOSTNAME_VERIFICATION",
        "false",
        "weir does not connect to a Redis whose name it cannot check; name it with WEIR_REDIS_SERVER_NAME",
        |value| boolean(value).map(|skips| !skips),
    ),
    used(
        "CACHE_KEY_PREFIX",
        "",
        "prefix of all keys, in front of `weir:`",
        |raw, value| set(&mut raw.prefix, Ok(value.into())),
    ),
    used(
        "REDIS_HEALTH_CHECK_ACTIVE_CONNECTION",
        "false",
        "health checks are bad while Redis is unavailable",
        |raw, value| set(&mut raw.must_be_connected, boolean(value)),
    ),
    ignored("REDIS_TIMEOUT", "10s", NO_TIMEOUT),
    ignored("REDIS_POOL_SIZE", "10", OWN_CONNECTIONS),
    ignored("REDIS_POOL_ON_EMPTY_BEHAVIOR", "WAIT", OWN_CONNECTIONS),
    ignored("REDIS_PIPELINE_WINDOW", "0", OWN_CONNECTIONS),
    ignored("REDIS_PIPELINE_LIMIT", "0", OWN_CONNECTIONS),
    ignored("REDIS_CLUSTER_PIPELINE_PARALLELISM", "1", OWN_CONNECTIONS),
    ignored(
        "REDIS_STARTUP_INITIAL_INTERVAL",
        "1s",
        "weir starts without Redis, and connects until it succeeds",
    ),
    ignored(
        "REDIS_STARTUP_MAX_INTERVAL",
        "30s",
        "weir starts without Redis, and connects until it succeeds",
    ),
    ignored(
        "REDIS_STARTUP_MAX_ELAPSED_TIME",
        "0",
        "weir starts without Redis, and connects until it succeeds",
    ),
    used(
        "REDIS_PERSECOND",
        "false",
        "a second Redis for limits per second",
        |raw, value| set(&mut raw.has_per_second, boolean(value)),
    ),
    used(
        "REDIS_PERSECOND_SOCKET_TYPE",
        "unix",
        "as REDIS_SOCKET_TYPE",
        |raw, value| set(&mut raw.per_second.is_socket, socket_type(value)),
    ),
    used(
        "REDIS_PERSECOND_TYPE",
        "SINGLE",
        "as REDIS_TYPE",
        |raw, value| set(&mut raw.per_second.kind, kind(value)),
    ),
    used(
        "REDIS_PERSECOND_URL",
        PER_SECOND_SOCKET,
        "as REDIS_URL",
        |raw, value| set(&mut raw.per_second.url, Ok(value.to_owned())),
    ),
    used("REDIS_PERSECOND_AUTH", "", "as REDIS_AUTH", |raw, value| {
        set(&mut raw.per_second.auth, Ok(value.to_owned()))
    }),
    used(
        "REDIS_PERSECOND_SENTINEL_AUTH",
        "",
        "as REDIS_SENTINEL_AUTH",
        |raw, value| set(&mut raw.per_second.sentinel_auth, Ok(value.to_owned())),
    ),
    used(
        "REDIS_PERSECOND_TLS",
        "false",
        "as REDIS_TLS, with the same files",
        |raw, value| set(&mut raw.per_second.has_tls, boolean(value)),
    ),
    ignored("REDIS_PERSECOND_TIMEOUT", "10s", NO_TIMEOUT),
    ignored("REDIS_PERSECOND_POOL_SIZE", "10", OWN_CONNECTIONS),
    ignored(
        "REDIS_PERSECOND_POOL_ON_EMPTY_BEHAVIOR",
        "WAIT",
        OWN_CONNECTIONS,
    ),
    ignored("REDIS_PERSECOND_PIPELINE_WINDOW", "0", OWN_CONNECTIONS),
    ignored("REDIS_PERSECOND_PIPELINE_LIMIT", "0", OWN_CONNECTIONS),
    ignored(
        "REDIS_PERSECOND_CLUSTER_PIPELINE_PARALLELISM",
        "1",
        OWN_CONNECTIONS,
    ),
];

impl RedisVariables {
    pub(super) fn apply(
        self,
        counting: &Counting,
        settings: &mut ServeSettings,
    ) -> Result<(), RatelimitError> {
        if counting.backend == Backend::Memory {
            settings.redis = None;
            return Ok(());
        }
        if counting.is_atomic && self.main.kind == RedisKind::Cluster {
            return Err(RatelimitError::Refused {
                name: "STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT",
                reason: "the shards of a cluster do not decide together; use one Redis, or set it to false",
            });
        }
        settings.ready_when.store = self.must_be_connected;
        let Some(base) = settings.redis.take() else {
            return Ok(());
        };
        if self.has_per_second {
            let server = self.server(&self.per_second, "REDIS_PERSECOND_URL", counting)?;
            settings.redis_per_second = Some(base.clone().with_server(server));
        }
        let server = self.server(&self.main, "REDIS_URL", counting)?;
        settings.redis = Some(base.with_server(server));
        Ok(())
    }

    fn server(
        &self,
        connection: &ServerVariables,
        name: &'static str,
        counting: &Counting,
    ) -> Result<RedisServer, RatelimitError> {
        let is_sentinel = connection.kind == RedisKind::Sentinel;
        let files = [&self.ca, &self.certificate, &self.key];
        let [ca, certificate, key] = files.map(|path| file(path.clone()));
        Ok(RedisServer {
            address: connection.address(name)?,
            login: login(&connection.auth),
            sentinel_login: login(&connection.sentinel_auth).filter(|_| is_sentinel),
            prefix: format!("{}weir:", self.prefix),
            ca,
            identity: certificate.zip(key),
            has_local_cache: counting.has_local_cache,
        })
    }
}

impl ServerVariables {
    /// The address, as `--store` takes it.
    fn address(&self, name: &'static str) -> Result<String, RatelimitError> {
        let url = self.url.as_str();
        let scheme = |topology: &str| match self.has_tls {
            true => format!("rediss{topology}://"),
            false => format!("redis{topology}://"),
        };
        let hosts = |text: &str| text.split(',').map(host).collect::<Vec<_>>().join(",");
        match self.kind {
            RedisKind::Single if self.is_socket => Ok(format!("redis+unix://{url}")),
            // TLS of the address remains.
            RedisKind::Single if url.contains("://") && !self.has_tls => Ok(url.to_owned()),
            RedisKind::Single => Ok(scheme("") + host(url)),
            RedisKind::Cluster => Ok(scheme("-cluster") + &hosts(url)),
            RedisKind::Sentinel => {
                let (service, sentinels) = url.split_once(',').ok_or(RatelimitError::Invalid {
                    name,
                    source: InvalidValue("SERVICE,HOST:PORT,… for sentinels"),
                })?;
                Ok(format!(
                    "{}{}/{service}",
                    scheme("+sentinel"),
                    hosts(sentinels)
                ))
            }
        }
    }
}

/// An address without its scheme.
fn host(text: &str) -> &str {
    let text = text.trim();
    text.split_once("://").map_or(text, |(_, rest)| rest)
}

/// `password` or `user:password`.
fn login(auth: &str) -> Option<UserPassword> {
    if auth.is_empty() {
        return None;
    }
    let (user, password) = match auth.split_once(':') {
        Some((user, password)) => (Some(user.to_owned()), password),
        None => (None, auth),
    };
    Some(UserPassword {
        user: user.filter(|user| !user.is_empty()),
        password: password.to_owned(),
    })
}

fn socket_type(value: &str) -> Result<bool, InvalidValue> {
    match value.to_ascii_lowercase().as_str() {
        "unix" => Ok(true),
        "tcp" => Ok(false),
        _ => Err(InvalidValue("tcp or unix")),
    }
}

fn kind(value: &str) -> Result<RedisKind, InvalidValue> {
    match value.to_ascii_uppercase().as_str() {
        "SINGLE" => Ok(RedisKind::Single),
        "SENTINEL" => Ok(RedisKind::Sentinel),
        "CLUSTER" => Ok(RedisKind::Cluster),
        _ => Err(InvalidValue("SINGLE, SENTINEL or CLUSTER")),
    }
}
