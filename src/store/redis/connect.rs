//! Connections to Redis, whichever way its servers are found.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisFuture, TlsCertificates, TlsMode,
    Value,
};

use super::RedisTls;
use super::address::{Login, Node, RedisAddress, Servers};

/// How long a connection may take to be made, name look-up and TLS included.
const PATIENCE: Duration = Duration::from_secs(2);

/// What it takes to connect.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    address: RedisAddress,
    certificates: Option<TlsCertificates>,
}

/// A connection, or those of a cluster; clones share it.
#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
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

    /// Connects anew; whoever drives the connection does so on the runtime of the caller.
    pub(super) async fn connect(&self) -> Result<Link, RedisError> {
        let connecting = async {
            // Deadlines are those of each call.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(PATIENCE))
                .set_response_timeout(None);
            match &self.address.servers {
                Servers::One(node) => {
                    let client = self.client(self.addr(node))?;
                    let connecting = client.get_multiplexed_async_connection_with_config(&config);
                    connecting.await.map(Link::One)
                }
                Servers::Socket(path) => {
                    let client = self.client(ConnectionAddr::Unix(path.clone()))?;
                    let connecting = client.get_multiplexed_async_connection_with_config(&config);
                    connecting.await.map(Link::One)
                }
                Servers::Sentinels {
                    nodes,
                    service,
                    login,
                } => {
                    let mut client = self.sentinels(nodes, service, login)?;
                    let connecting = client.get_async_connection_with_config(&config);
                    connecting.await.map(Link::One)
                }
                Servers::Cluster(nodes) => {
                    let client = self.cluster(nodes)?;
                    client.get_async_connection().await.map(Link::Cluster)
                }
            }
        };
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
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
        nodes: &[Node],
        service: &str,
        login: &Login,
    ) -> Result<redis::sentinel::SentinelClient, RedisError> {
        let nodes = nodes.iter().map(|node| self.addr(node));
        let mut builder = SentinelClientBuilder::new(nodes, service, SentinelServerType::Master)?
            .set_client_to_redis_db(self.address.database.into())
            .set_client_to_redis_tcp_settings(at_once())
            .set_client_to_sentinel_tcp_settings(at_once());
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

    fn cluster(&self, nodes: &[Node]) -> Result<redis::cluster::ClusterClient, RedisError> {
        let infos: Result<Vec<ConnectionInfo>, _> = nodes
            .iter()
            .map(|node| self.info(self.addr(node)))
            .collect();
        // Enough to follow a slot that has moved; what takes longer is past the deadline anyway.
        let mut builder = ClusterClientBuilder::new(infos?)
            .retries(2)
            .min_retry_wait(1)
            .max_retry_wait(2)
            .connection_timeout(PATIENCE)
            .tcp_settings(at_once())
            .overall_response_timeout(None);
        if let Some(certificates) = &self.certificates {
            builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
        }
        builder.build()
    }

    fn info(&self, addr: ConnectionAddr) -> Result<ConnectionInfo, RedisError> {
        let info = addr.into_connection_info()?;
        let info = info.set_tcp_settings(at_once());
        Ok(info.set_redis_settings(self.login()))
    }

    fn addr(&self, node: &Node) -> ConnectionAddr {
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
        let mut login = RedisConnectionInfo::default().set_db(self.address.database.into());
        if let Some(user) = &self.address.login.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.address.login.password {
            login = login.set_password(password.reveal());
        }
        login
    }
}

/// A command leaves although the one before is not acknowledged yet, which is what several on their way are for.
fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

impl Link {
    /// Whether a script takes keys of one slot only.
    pub(super) fn has_slots(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) fn send<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }
}
