//! Connections to Redis: to one server, through sentinels, or to a cluster.
//!
//! Nothing here retries or reconnects: that is the business of
//! [`connection_task`](super::connection_task).

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crc16::{State, XMODEM};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClientBuilder, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::io::AsyncDNSResolver;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisFuture, TlsCertificates, TlsMode,
    Value,
};

use super::RedisTls;
use super::address::{HostPort, Login, RedisAddress, Sentinels, Servers};
use crate::host_lookup;
use crate::store::StoreError;

/// The longest time to connect, including DNS and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The address and the certificates, ready to connect.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    address: RedisAddress,
    certificates: TlsCertificates,
    /// The name to check the certificate of the server for; by default its host.
    server_name: Option<String>,
}

/// Looks up names, or always one host if the name that TLS checks is another.
struct RedisResolver {
    host: Option<String>,
}

impl AsyncDNSResolver for RedisResolver {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        name: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let host = self.host.as_deref().unwrap_or(name);
            let addresses = host_lookup::lookup(host, port).await?;
            Ok(Box::new(addresses.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

/// A connection, or the connections to a cluster; clones share it.
#[derive(Clone)]
pub(super) enum RedisConnection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisConnection")
    }
}

impl Connector {
    pub(super) fn new(address: RedisAddress, tls: RedisTls) -> Self {
        let client_tls = tls.identity.map(|identity| ClientTlsConfig {
            client_cert: identity.certificate,
            client_key: identity.key,
        });
        Self {
            address,
            certificates: TlsCertificates {
                client_tls,
                root_cert: tls.ca,
            },
            server_name: tls.server_name,
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
                    let connecting = self.open(node, config);
                    connecting.await.map(RedisConnection::Single)
                }
                Servers::Socket(path) => {
                    let client = self.client(ConnectionAddr::Unix(path.clone()), self.login())?;
                    let connecting = client.get_multiplexed_async_connection_with_config(&config);
                    connecting.await.map(RedisConnection::Single)
                }
                Servers::Sentinels(sentinels) => {
                    let mut failure = unknown_master();
                    for sentinel in &sentinels.nodes {
                        let connecting = async {
                            let master = self.ask_sentinel(sentinel, sentinels).await?;
                            self.open(&master, config.clone()).await
                        };
                        match connecting.await {
                            Ok(connection) => return Ok(RedisConnection::Single(connection)),
                            Err(error) => failure = error,
                        }
                    }
                    Err(failure)
                }
                Servers::Cluster(nodes) => {
                    let client = self.cluster(nodes)?;
                    let resolver = RedisResolver { host: None };
                    let config = ClusterConfig::new().set_dns_resolver(resolver);
                    client
                        .get_async_connection_with_config(config)
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

    fn client(
        &self,
        addr: ConnectionAddr,
        login: RedisConnectionInfo,
    ) -> Result<Client, RedisError> {
        let is_tls = matches!(addr, ConnectionAddr::TcpTls { .. });
        let info = info(addr, login)?;
        match is_tls {
            true => Client::build_with_tls(info, self.certificates.clone()),
            false => Client::open(info),
        }
    }

    /// Connects to a server, by the name that its certificate must have.
    async fn open(
        &self,
        server: &HostPort,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let is_tls = self.address.tls;
        let name = self.server_name.as_ref().unwrap_or(&server.host);
        let host = Some(server.host.clone());
        let config = config.set_dns_resolver(RedisResolver { host });
        let client = self.client(addr(name, server.port, is_tls), self.login())?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        connecting.await
    }

    /// The master of a service, as one sentinel names it. Only a write shows whether it still is the master.
    async fn ask_sentinel(
        &self,
        sentinel: &HostPort,
        sentinels: &Sentinels,
    ) -> Result<HostPort, RedisError> {
        let login = login(&sentinels.login);
        let addr = addr(&sentinel.host, sentinel.port, sentinels.tls);
        // One that is down leaves time for others.
        let patience = Some(CONNECT_TIMEOUT / 4);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(patience)
            .set_response_timeout(patience)
            .set_dns_resolver(RedisResolver { host: None });
        let client = self.client(addr, login)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(&sentinels.service);
        let master: Option<(String, u16)> = ask.query_async(&mut connection).await?;
        let (host, port) = master.ok_or_else(unknown_master)?;
        Ok(HostPort { host, port })
    }

    fn cluster(&self, nodes: &[HostPort]) -> Result<redis::cluster::ClusterClient, RedisError> {
        let infos: Result<Vec<ConnectionInfo>, _> = nodes
            .iter()
            .map(|node| info(addr(&node.host, node.port, self.address.tls), self.login()))
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
        if self.address.tls {
            builder = builder
                .tls(TlsMode::Secure)
                .certs(self.certificates.clone());
        }
        builder.build()
    }

    fn login(&self) -> RedisConnectionInfo {
        login(&self.address.login).set_db(self.address.database.into())
    }
}

fn login(of: &Login) -> RedisConnectionInfo {
    // Some proxies close the connection at CLIENT SETINFO.
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(user) = &of.user {
        login = login.set_username(user);
    }
    if let Some(password) = &of.password {
        login = login.set_password(password.reveal());
    }
    login
}

fn info(addr: ConnectionAddr, login: RedisConnectionInfo) -> Result<ConnectionInfo, RedisError> {
    let info = addr.into_connection_info()?;
    Ok(info.set_tcp_settings(no_delay()).set_redis_settings(login))
}

fn addr(host: &str, port: u16, is_tls: bool) -> ConnectionAddr {
    let host = host.to_owned();
    match is_tls {
        true => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
        false => ConnectionAddr::Tcp(host, port),
    }
}

fn unknown_master() -> RedisError {
    RedisError::from((
        ErrorKind::MasterNameNotFoundBySentinel,
        "no sentinel knows a master of that name",
    ))
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
}
