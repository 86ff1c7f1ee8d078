//! Where Redis is: `redis://`, `rediss://` (TLS), the same behind sentinels or as a cluster, or a Unix socket.
//!
//! An address can hold a password: it is shown without, and what is wrong with one is said without quoting it.

mod parse;

use std::fmt;
use std::path::{Path, PathBuf};

pub use parse::InvalidAddress;

/// Where Redis is, and as whom to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) servers: Servers,
    pub(super) tls: bool,
    pub(super) login: Login,
    pub(super) database: u16,
}

/// Which servers to ask for the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    /// This one.
    One(Node),
    /// The one on this machine that listens at this socket.
    Socket(PathBuf),
    /// The one that these sentinels call the master of the service.
    Sentinels {
        nodes: Vec<Node>,
        service: String,
        /// As whom to come to them, which is nobody unless said.
        login: Login,
    },
    /// The cluster that these are some nodes of.
    Cluster(Vec<Node>),
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

/// As whom to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// None for the default user.
    pub user: Option<String>,
    /// None where none is asked for.
    pub password: Option<Password>,
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// This one.
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
    /// Whether hits of one request may be counted by different servers.
    pub fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
    }

    /// Whether it is spoken to in TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The same with another password.
    #[must_use]
    pub fn with_password(self, password: Password) -> Self {
        let login = Login {
            password: Some(password),
            ..self.login
        };
        Self { login, ..self }
    }

    /// The same with a login for its sentinels, who do not know that of Redis; none if it has no sentinels.
    #[must_use]
    pub fn with_sentinel_login(mut self, of_sentinels: Login) -> Option<Self> {
        match &mut self.servers {
            Servers::Sentinels { login, .. } => *login = of_sentinels,
            Servers::One(_) | Servers::Socket(_) | Servers::Cluster(_) => return None,
        }
        Some(self)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Without the user and the password.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let list = |nodes: &[Node]| {
            let nodes: Vec<String> = nodes.iter().map(Node::to_string).collect();
            nodes.join(",")
        };
        match &self.servers {
            Servers::One(node) => write!(f, "redis{tls}://{node}")?,
            Servers::Socket(path) => return self.write_socket(f, path),
            Servers::Sentinels { nodes, service, .. } => {
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
    fn addresses_are_read_and_shown_without_who_comes() {
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
    fn who_comes_is_known_but_not_shown() {
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
    fn what_is_no_address_is_refused() {
        for (text, expected) in [
            ("redis", InvalidAddress::Scheme),
            ("http://redis", InvalidAddress::Scheme),
            ("redis://", InvalidAddress::Host),
            ("redis://a b", InvalidAddress::Host),
            ("redis://a:b", InvalidAddress::Port),
            ("redis://a,b", InvalidAddress::SeveralNodes),
            ("redis://a/b", InvalidAddress::Database),
            ("redis://a?db=1", InvalidAddress::Query),
            ("redis+sentinel://a", InvalidAddress::NoService),
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
