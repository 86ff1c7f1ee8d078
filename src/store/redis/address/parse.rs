//! Reads an address. What is wrong with one is said without quoting it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::{Login, Node, Password, RedisAddress, Servers};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

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
            "redis+unix" | "valkey+unix" | "unix" => return read_socket(rest),
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
        let login = login.map(read_login).transpose()?.unwrap_or_default();
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
            login,
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
                let login = Login::default();
                let servers = Servers::Sentinels {
                    nodes,
                    service,
                    login,
                };
                Ok((servers, database))
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

/// `[USER:PASSWORD@]/PATH[?db=DATABASE]`, as redis-py and others have it.
fn read_socket(text: &str) -> Result<RedisAddress, InvalidAddress> {
    let (login, path) = match text.find("@/") {
        Some(at) if !text.starts_with('/') => (read_login(&text[..at])?, &text[at + 1..]),
        _ => (Login::default(), text),
    };
    let (path, database) = match path.split_once('?') {
        Some((path, parameter)) => {
            let database = parameter.strip_prefix("db=");
            (path, database.ok_or(InvalidAddress::Socket)?)
        }
        None => (path, ""),
    };
    if !path.starts_with('/') {
        return Err(InvalidAddress::Socket);
    }
    Ok(RedisAddress {
        servers: Servers::Socket(decode(path)?.into()),
        tls: false,
        login,
        database: read_database(database)?,
    })
}

fn read_login(login: &str) -> Result<Login, InvalidAddress> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Password(decode(password)?))),
        None => (login, None),
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    Ok(Login { user, password })
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
    /// What stands for a Unix socket is no absolute path, or has parameters other than a database.
    Socket,
    /// The user, the password, the service or the path is no UTF-8.
    NotUtf8,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "expected memory, redis://HOST, redis+sentinel://HOST,HOST/SERVICE or redis-cluster://HOST,HOST \
                 (rediss… for TLS), or redis+unix:///PATH"
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
            Self::Socket => {
                "a Unix socket is an absolute path; expected redis+unix://[USER:PASSWORD@]/PATH[?db=DATABASE]"
            }
            Self::NotUtf8 => "the user, the password, the service or the path is no UTF-8",
        })
    }
}

impl std::error::Error for InvalidAddress {}
