//! Connections to Redis: to one server, through sentinels, or to a cluster.
//!
//! Nothing here retries or reconnects: that is the business of
//! [`connection_task`](super::connection_task).

use std::time::Duration;

use crc16::{State, XMODEM};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, TlsMode,
    Value,
};

use super::RedisTls;
use super::address::{HostPort, Login, RedisAddress, Servers};
use crate::store::StoreError;

/// The longest time to connect, including DNS and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The address and the certificates, ready to connect.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    address: RedisAddress,
    certificates: Option<TlsCertificates>,
}

/// A connection, or the connections to a cluster; clones share it.
#[derive(Clone)]
pub(super) enum RedisConnection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connector {
    pub(super) fn new(address: RedisAddress, tls: RedisTls) -> Self {
        let is_tls = address.is_tls();
        let certificates = is_tls.then(|| TlsCertificates {
            client_tls: tls.identity.map(|identity| ClientTlsConfig {
                client_cert: identity.certificate,
                client_key: identity.key,
            }),
            root_cert: tls.ca,
        });
        Self {
            address,
            certificates,
        }
    }

    /// Opens a connection, which is driven on the runtime of the caller.
    pub(super) async fn connect(&self) -> Result<RedisConnection, StoreError> {
        let connecting = async {
            // Every call has its own deadline.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(None);
            match &self.address.servers {
                Servers::Single(node) => {
                    let client = self.client(self.addr(node))?;
                    let connecting = client.get_multiplexed_async_connection_with_config(&config);
                    connecting.await.map(RedisConnection::Single)
                }
                Servers::Socket(path) => {
                    let client = self.client(ConnectionAddr::Unix(path.clone()))?;
                    let connecting = client.get_multiplexed_async_connection_with_config(&config);
                    connecting.await.map(RedisConnection::Single)
                }
                Servers::Sentinels {
                    nodes,
                    service,
                    login,
                } => {
                    let mut client = self.sentinels(nodes, service, login)?;
                    let connecting = client.get_async_connection_with_config(&config);
                    connecting.await.map(RedisConnection::Single)
                }
                Servers::Cluster(nodes) => {
                    let client = self.cluster(nodes)?;
                    client
                        .get_async_connection()
                        .await
                        .map(RedisConnection::Cluster)
                }
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(StoreError::Timeout),
        }
    }

    fn client(&self, addr: ConnectionAddr) -> Result<Client, RedisError> {
        let info = self.info(addr)?;
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }

    fn sentinels(
        &self,
        nodes: &[HostPort],
        service: &str,
        login: &Login,
    ) -> Result<redis::sentinel::SentinelClient, RedisError> {
        let nodes = nodes.iter().map(|node| self.addr(node));
        let mut builder = SentinelClientBuilder::new(nodes, service, SentinelServerType::Master)?
            .set_client_to_redis_db(self.address.database.into())
            .set_client_to_redis_tcp_settings(no_delay())
            .set_client_to_sentinel_tcp_settings(no_delay());
        if let Some(user) = &self.address.login.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &self.address.login.password {
            builder = builder.set_client_to_redis_password(password.reveal());
        }
        if let Some(user) = &login.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &login.password {
            builder = builder.set_client_to_sentinel_password(password.reveal());
        }
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        builder.build()
    }

    fn cluster(&self, nodes: &[HostPort]) -> Result<redis::cluster::ClusterClient, RedisError> {
        let infos: Result<Vec<ConnectionInfo>, _> = nodes
            .iter()
            .map(|node| self.info(self.addr(node)))
            .collect();
        // Enough to follow a hash slot that has moved. More would exceed the deadline.
        let mut builder = ClusterClientBuilder::new(infos?)
            .retries(2)
            .min_retry_wait(1)
            .max_retry_wait(2)
            // Less than all the time, so that a node that is down does not keep the others away.
            .connection_timeout(CONNECT_TIMEOUT / 2)
            .tcp_settings(no_delay())
            .overall_response_timeout(None);
        if let Some(certificates) = &self.certificates {
            builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
        }
        builder.build()
    }

    fn info(&self, addr: ConnectionAddr) -> Result<ConnectionInfo, RedisError> {
        let info = addr.into_connection_info()?;
        let info = info.set_tcp_settings(no_delay());
        Ok(info.set_redis_settings(self.login()))
    }

    fn addr(&self, node: &HostPort) -> ConnectionAddr {
        let (host, port) = (node.host.clone(), node.port);
        if self.address.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.address.database.into())
            // Some proxies close the connection at CLIENT SETINFO.
            .set_skip_set_lib_name();
        if let Some(user) = &self.address.login.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.address.login.password {
            login = login.set_password(password.reveal());
        }
        login
    }
}

/// TCP_NODELAY: a command is sent before the previous one is acknowledged.
fn no_delay() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

impl RedisConnection {
    /// Whether all keys of a script must be in one hash slot.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Sends a command and waits for its reply, however long that takes.
    pub(super) async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let reply = match self {
            Self::Single(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        reply?.extract_error()
    }

    /// The same, up to a deadline.
    pub(super) async fn send_within(
        &mut self,
        deadline: Duration,
        command: &Cmd,
    ) -> Result<Value, StoreError> {
        match tokio::time::timeout(deadline, self.send(command)).await {
            Ok(reply) => Ok(reply?),
            Err(_) => Err(StoreError::Timeout),
        }
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::ReadOnly,
            ErrorKind::AuthenticationFailed => Self::NotPermitted {
                reason: excerpt(&error.to_string()),
            },
            _ if error.is_timeout() => Self::Timeout,
            _ => script_error(&error.to_string()),
        }
    }
}

/// An error by its text: of a command, or that Redis reported to the script, such as that of a full Redis (OOM).
pub(super) fn script_error(message: &str) -> StoreError {
    let has = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let reason = excerpt(message);
    if has(&["READONLY"]) {
        StoreError::ReadOnly
    } else if has(&[
        "NOPERM",
        "NoPerm",
        "NOAUTH",
        "WRONGPASS",
        // Redis 6 and 7 to a script.
        "The user executing the script can't",
        "ACL failure in script",
    ]) {
        StoreError::NotPermitted { reason }
    } else if has(&[
        "unknown command",
        "Unknown Redis command",
        "unsupported command",
    ]) {
        StoreError::Unsupported { reason }
    } else {
        StoreError::Unavailable { reason }
    }
}

/// The longest text of a server that is kept.
const MAX_EXCERPT_BYTES: usize = 200;

/// The beginning of a server's text, in one line. An unknown command's arguments are left out: they may be secret.
fn excerpt(text: &str) -> String {
    let (text, _) = text
        .split_once(", with args beginning with")
        .unwrap_or((text, ""));
    let line = text.trim().split(['\r', '\n']).next().unwrap_or_default();
    match line.floor_char_boundary(MAX_EXCERPT_BYTES) {
        end if end < line.len() => format!("{}…", &line[..end]),
        _ => line.to_owned(),
    }
}

/// What became of a command, for its connection.
#[derive(Debug)]
pub(super) enum CommandOutcome {
    /// Redis answered.
    Ok,
    /// Redis did not answer in time, or answered with an error.
    Failed,
    /// The connection is unusable.
    Broken(StoreError),
}

/// The hash slot of a key in a cluster: of the text in its first braces, if there is any.
///
/// See <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>.
pub(super) fn hash_slot(key: &[u8]) -> u16 {
    const HASH_SLOTS: u16 = 16_384;
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')? + 1;
        let length = key[open..].iter().position(|byte| *byte == b'}')?;
        Some(&key[open..open + length]).filter(|tag| !tag.is_empty())
    };
    State::<XMODEM>::calculate(tag().unwrap_or(key)) % HASH_SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_slots_are_those_of_the_cluster_specification() {
        assert_eq!(hash_slot(b"123456789"), 0x31c3);
        assert_eq!(hash_slot(b"foo{}{bar}"), hash_slot(b"foo{}{bar}"));
        assert_eq!(hash_slot(b"{weir}:1:a"), hash_slot(b"weir"));
        assert_ne!(hash_slot(b"foo{}{bar}"), hash_slot(b"bar"));
    }

    #[test]
    fn texts_of_a_server_are_cut_and_arguments_left_out() {
        let long = format!("ERR {}é{}", "x".repeat(195), "y".repeat(1_000_000));
        let StoreError::Unavailable { reason } = script_error(&long) else {
            panic!("another error");
        };
        assert_eq!(reason, format!("ERR {}…", "x".repeat(195)));
        let unknown =
            "ERR unknown command 'SET', with args beginning with: 'weir:meta' '1 random 0123'";
        let error = script_error(unknown);
        assert!(matches!(error, StoreError::Unsupported { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("'SET'") && !said.contains("0123"), "{said}");
    }

    #[test]
    fn errors_of_the_client_are_classified() {
        let error =
            |detail: &str| RedisError::from((ErrorKind::Client, "failed", detail.to_owned()));
        let failed = StoreError::from(error("why"));
        assert!(matches!(failed, StoreError::Unavailable { reason } if reason.contains("why")));
        let read_only = ErrorKind::Server(ServerErrorKind::ReadOnly);
        let read_only = RedisError::from((read_only, "a replica"));
        assert_eq!(StoreError::from(read_only), StoreError::ReadOnly);
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert_eq!(
            StoreError::from(RedisError::from(late)),
            StoreError::Timeout
        );
    }
}
