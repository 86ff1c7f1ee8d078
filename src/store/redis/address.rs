//! Where Redis is: `redis://`, `rediss://` (TLS), and the same behind sentinels or as a cluster.
//!
//! An address can hold a password: it is shown without, and what is wrong with one is said without quoting it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is, and as whom to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) servers: Servers,
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
    pub(super) database: u16,
}

/// Which servers to ask for the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    /// This one.
    One(Node),
    /// The one that these sentinels call the master of the service.
    Sentinels { nodes: Vec<Node>, service: String },
    /// The cluster that these are some nodes of.
    Cluster(Vec<Node>),
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
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
        Self {
            password: Some(password),
            ..self
        }
    }
}

impl FromStr for RedisAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidAddress::Scheme)?;
        let (tls, kind) = match scheme {
            "redis" | "valkey" => (false, Kind::One),
            "rediss" | "valkeys" => (true, Kind::One),
            "redis+sentinel" => (false, Kind::Sentinels),
            "rediss+sentinel" => (true, Kind::Sentinels),
            "redis-cluster" => (false, Kind::Cluster),
            "rediss-cluster" => (true, Kind::Cluster),
            _ => return Err(InvalidAddress::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidAddress::Query);
        }
        // Passwords with an `@` that is not encoded are common.
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let (user, password) = login.map(read_login).transpose()?.unwrap_or_default();
        let (nodes, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = match kind {
            Kind::Sentinels => SENTINEL_PORT,
            Kind::One | Kind::Cluster => REDIS_PORT,
        };
        let nodes: Result<Vec<Node>, _> = nodes
            .split(',')
            .map(|node| Node::read(node, default_port))
            .collect();
        let (servers, database) = kind.servers(nodes?, path)?;
        Ok(Self {
            servers,
            tls,
            user,
            password,
            database: read_database(database)?,
        })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    One,
    Sentinels,
    Cluster,
}

impl Kind {
    /// The servers, and what stands where the database does.
    fn servers(self, nodes: Vec<Node>, path: &str) -> Result<(Servers, &str), InvalidAddress> {
        match (self, <[Node; 1]>::try_from(nodes)) {
            (Self::One, Ok([node])) => Ok((Servers::One(node), path)),
            (Self::One, Err(_)) => Err(InvalidAddress::SeveralNodes),
            (Self::Sentinels, nodes) => {
                let nodes = nodes.map_or_else(|nodes| nodes, Vec::from);
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(InvalidAddress::NoService);
                }
                let service = decode(service)?;
                Ok((Servers::Sentinels { nodes, service }, database))
            }
            (Self::Cluster, _) if !path.is_empty() => Err(InvalidAddress::Database),
            (Self::Cluster, nodes) => {
                let nodes = nodes.map_or_else(|nodes| nodes, Vec::from);
                Ok((Servers::Cluster(nodes), ""))
            }
        }
    }
}

impl Node {
    fn read(text: &str, default_port: u16) -> Result<Self, InvalidAddress> {
        let has_port = text.rfind(':') > text.rfind(']');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if has_port => {
                (host, port.parse().map_err(|_| InvalidAddress::Port)?)
            }
            _ => (text, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(InvalidAddress::Host);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

type Login = (Option<String>, Option<Password>);

fn read_login(login: &str) -> Result<Login, InvalidAddress> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Password(decode(password)?))),
        None => (login, None),
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    Ok((user, password))
}

fn read_database(text: &str) -> Result<u16, InvalidAddress> {
    match text {
        "" => Ok(0),
        number => number.parse().map_err(|_| InvalidAddress::Database),
    }
}

fn decode(text: &str) -> Result<String, InvalidAddress> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| InvalidAddress::NotUtf8)
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
            Servers::Sentinels { nodes, service } => {
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

/// Why a text is no address of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAddress {
    /// The scheme is none of those that weir knows.
    Scheme,
    /// There are parameters.
    Query,
    /// There is no host, or there are blanks in it.
    Host,
    /// The port is no number from 0 to 65535.
    Port,
    /// There are several servers, but neither sentinels nor a cluster.
    SeveralNodes,
    /// Sentinels are asked for no service.
    NoService,
    /// What stands for the database is no number, or a cluster, which has only one, was given one.
    Database,
    /// The user, the password or the service is no UTF-8.
    NotUtf8,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "expected memory, redis://HOST, redis+sentinel://HOST,HOST/SERVICE or redis-cluster://HOST,HOST \
                 (rediss… for TLS)"
            }
            Self::Query => {
                "an address has no parameters; write ? and # in a password as %3F and %23"
            }
            Self::Host => "there is no host; expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]",
            Self::Port => "the port is no number up to 65535; write / and : in a password as %2F and %3A",
            Self::SeveralNodes => {
                "several servers are either sentinels (redis+sentinel://) or a cluster (redis-cluster://)"
            }
            Self::NoService => {
                "sentinels are asked for the master of a service; expected redis+sentinel://HOST,HOST/SERVICE"
            }
            Self::Database => "the database is a number; a cluster has none to choose",
            Self::NotUtf8 => "the user, the password or the service is no UTF-8",
        })
    }
}

impl std::error::Error for InvalidAddress {}

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
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn who_comes_is_known_but_not_shown() {
        let address: RedisAddress = "redis://weir:p%40ss@redis".parse().unwrap();
        assert_eq!(address.user.as_deref(), Some("weir"));
        assert_eq!(address.password.as_ref().unwrap().reveal(), "p@ss");
        assert!(!format!("{address:?} {address}").contains("p@ss"));
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
        ] {
            assert_eq!(shown(text), Err(expected), "{text}");
        }
    }
}
