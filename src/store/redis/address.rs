//! The address of Redis: one server, sentinels, a cluster, or a Unix socket.
//!
//! An address may contain a password. `Display` and `Debug` never show it, and no error quotes it.

mod parse;

use std::fmt;
use std::path::{Path, PathBuf};

pub use parse::InvalidAddress;

/// Where Redis is, and how to log in.
///
/// ```
/// use weir::store::RedisAddress;
///
/// let address: RedisAddress = "rediss://weir:secret@redis.example/2".parse().expect("an address");
/// assert_eq!(address.to_string(), "rediss://redis.example:6379/2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) servers: Servers,
    pub(super) tls: bool,
    pub(super) login: Login,
    pub(super) database: u16,
}

/// The servers that hold the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    Single(HostPort),
    /// A server on this machine.
    Socket(PathBuf),
    /// The master of a service, as the sentinels name it.
    Sentinels(Sentinels),
    /// A cluster, of which some nodes are given.
    Cluster(Vec<HostPort>),
}

/// The sentinels, and how to reach them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentinels {
    pub(super) nodes: Vec<HostPort>,
    pub(super) service: String,
    /// The login for the sentinels themselves; by default none.
    pub(super) login: Login,
    /// Whether they use TLS; by default as the server does.
    pub(super) tls: bool,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) host: String,
    pub(super) port: u16,
}

/// A user name and a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// `None` for the default user.
    pub user: Option<String>,
    /// `None` to connect without a password.
    pub password: Option<Password>,
}

/// A password; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl RedisAddress {
    /// Whether different servers may count the hits of one request.
    pub fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
    }

    /// Whether the connection uses TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The same address with another password.
    #[must_use]
    pub fn with_password(self, password: Password) -> Self {
        let login = Login {
            password: Some(password),
            ..self.login
        };
        Self { login, ..self }
    }

    /// The same address with another login.
    #[must_use]
    pub fn with_login(self, login: Login) -> Self {
        Self { login, ..self }
    }

    /// The same address with a login for its sentinels, which never receive the one for Redis;
    /// `None` if the address has no sentinels.
    #[must_use]
    pub fn with_sentinel_login(mut self, sentinel_login: Login) -> Option<Self> {
        self.sentinels()?.login = sentinel_login;
        Some(self)
    }

    /// The same address with or without TLS to its sentinels, whatever the server uses; `None` if the address has no
    /// sentinels.
    #[must_use]
    pub fn with_sentinel_tls(mut self, tls: bool) -> Option<Self> {
        self.sentinels()?.tls = tls;
        Some(self)
    }

    fn sentinels(&mut self) -> Option<&mut Sentinels> {
        match &mut self.servers {
            Servers::Sentinels(sentinels) => Some(sentinels),
            Servers::Single(_) | Servers::Socket(_) | Servers::Cluster(_) => None,
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Without user name and password.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let list = |nodes: &[HostPort]| {
            let nodes: Vec<String> = nodes.iter().map(HostPort::to_string).collect();
            nodes.join(",")
        };
        match &self.servers {
            Servers::Single(node) => write!(f, "redis{tls}://{node}")?,
            Servers::Socket(path) => return self.write_socket(f, path),
            Servers::Sentinels(Sentinels { nodes, service, .. }) => {
                write!(f, "redis{tls}+sentinel://{}/{service}", list(nodes))?;
            }
            Servers::Cluster(nodes) => write!(f, "redis{tls}-cluster://{}", list(nodes))?,
        }
        match self.database {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

impl RedisAddress {
    fn write_socket(&self, f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
        write!(f, "redis+unix://{}", path.display())?;
        match self.database {
            0 => Ok(()),
            database => write!(f, "?db={database}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, InvalidAddress> {
        text.parse()
            .map(|address: RedisAddress| address.to_string())
    }

    #[test]
    fn addresses_are_parsed_and_shown_without_login() {
        for (text, expected) in [
            ("redis://redis", "redis://redis:6379"),
            ("redis://[::1]:7000/3", "redis://[::1]:7000/3"),
            ("rediss://weir:p%40ss@redis:1", "rediss://redis:1"),
            ("redis://:a@b:c@redis:1", "redis://redis:1"),
            ("valkey://h", "redis://h:6379"),
            (
                "redis+sentinel://:secret@a,b:5/master/2",
                "redis+sentinel://a:26379,b:5/master/2",
            ),
            ("rediss-cluster://u:p@a:1,b:2", "rediss-cluster://a:1,b:2"),
            (
                "redis+unix:///run/redis.sock",
                "redis+unix:///run/redis.sock",
            ),
            (
                "unix://u:p@/run/a%20b@c?db=3",
                "redis+unix:///run/a b@c?db=3",
            ),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_login_is_parsed_but_not_shown() {
        let address: RedisAddress = "redis://weir:p%40ss@redis".parse().unwrap();
        let Login { user, password } = &address.login;
        assert_eq!(user.as_deref(), Some("weir"));
        assert_eq!(password.as_ref().unwrap().reveal(), "p@ss");
        assert!(!format!("{address:?} {address}").contains("p@ss"));
    }

    #[test]
    fn only_sentinels_have_a_login_of_their_own() {
        let login = Login {
            user: Some("weir".to_owned()),
            password: Some(Password::new("friend")),
        };
        let with = |text: &str| {
            let address: RedisAddress = text.parse().unwrap();
            address.with_sentinel_login(login.clone())
        };
        let address = with("redis+sentinel://:mellon@a/shop").unwrap();
        let said = format!("{address:?} {address}");
        assert!(!said.contains("friend") && !said.contains("mellon"));
        for other in ["redis://a", "redis+unix:///a", "redis-cluster://a"] {
            assert_eq!(with(other), None);
        }
    }

    #[test]
    fn invalid_addresses_are_rejected() {
        for (text, expected) in [
            ("redis", InvalidAddress::Scheme),
            ("http://redis", InvalidAddress::Scheme),
            ("redis://", InvalidAddress::Host),
            ("redis://a b", InvalidAddress::Host),
            ("redis://a:b", InvalidAddress::Port),
            ("redis://a,b", InvalidAddress::MultipleHosts),
            ("redis://a/b", InvalidAddress::Database),
            ("redis://a?db=1", InvalidAddress::Query),
            ("redis+sentinel://a", InvalidAddress::MissingService),
            ("redis-cluster://a/1", InvalidAddress::Database),
            ("redis://%ff@a", InvalidAddress::NotUtf8),
            ("redis+unix://run/redis.sock", InvalidAddress::Socket),
            ("redis+unix://a@", InvalidAddress::Socket),
            ("redis+unix:///a?db=x", InvalidAddress::Database),
            ("redis+unix:///a?database=1", InvalidAddress::Socket),
        ] {
            assert_eq!(shown(text), Err(expected), "{text}");
        }
    }
}
