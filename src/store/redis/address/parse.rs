//! Parses an address. Errors never quote it, because it may contain a password.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use super::{HostPort, Login, Password, RedisAddress, Sentinels, Servers};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl FromStr for RedisAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidAddress::Scheme)?;
        let (tls, topology) = match scheme {
            "redis" | "valkey" => (false, Topology::Single),
            "rediss" | "valkeys" => (true, Topology::Single),
            "redis+sentinel" => (false, Topology::Sentinels),
            "rediss+sentinel" => (true, Topology::Sentinels),
            "redis-cluster" => (false, Topology::Cluster),
            "rediss-cluster" => (true, Topology::Cluster),
            "redis+unix" | "valkey+unix" | "unix" => return parse_socket(rest),
            _ => return Err(InvalidAddress::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidAddress::Query);
        }
        // Passwords with an unencoded `@` are common.
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let login = login.map(parse_login).transpose()?.unwrap_or_default();
        let (nodes, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = match topology {
            Topology::Sentinels => SENTINEL_PORT,
            Topology::Single | Topology::Cluster => REDIS_PORT,
        };
        let nodes: Result<Vec<HostPort>, _> = nodes
            .split(',')
            .map(|node| HostPort::parse(node, default_port))
            .collect();
        let (servers, database) = topology.servers(nodes?, path, tls)?;
        Ok(Self {
            servers,
            tls,
            login,
            database: parse_database(database)?,
        })
    }
}

#[derive(Clone, Copy)]
enum Topology {
    Single,
    Sentinels,
    Cluster,
}

impl Topology {
    /// The servers, and the part of the path that names the database.
    fn servers(
        self,
        nodes: Vec<HostPort>,
        path: &str,
        tls: bool,
    ) -> Result<(Servers, &str), InvalidAddress> {
        match (self, <[HostPort; 1]>::try_from(nodes)) {
            (Self::Single, Ok([node])) => Ok((Servers::Single(node), path)),
            (Self::Single, Err(_)) => Err(InvalidAddress::MultipleHosts),
            (Self::Sentinels, nodes) => {
                let nodes = nodes.map_or_else(|nodes| nodes, Vec::from);
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(InvalidAddress::MissingService);
                }
                let service = decode(service)?;
                let login = Login::default();
                let servers = Servers::Sentinels(Sentinels {
                    nodes,
                    service,
                    login,
                    tls,
                });
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

impl HostPort {
    fn parse(text: &str, default_port: u16) -> Result<Self, InvalidAddress> {
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

/// `[USER:PASSWORD@]/PATH[?db=DATABASE]`, as in redis-py and others.
fn parse_socket(text: &str) -> Result<RedisAddress, InvalidAddress> {
    let (login, path) = match text.find("@/") {
        Some(at) if !text.starts_with('/') => (parse_login(&text[..at])?, &text[at + 1..]),
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
        database: parse_database(database)?,
    })
}

fn parse_login(login: &str) -> Result<Login, InvalidAddress> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Password(decode(password)?))),
        None => (login, None),
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    Ok(Login { user, password })
}

fn parse_database(text: &str) -> Result<u16, InvalidAddress> {
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

/// Why a text is not an address of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidAddress {
    /// The scheme is unknown.
    #[error(
        "expected memory, redis://HOST, redis+sentinel://HOST,HOST/SERVICE or \
         redis-cluster://HOST,HOST (rediss… for TLS), or redis+unix:///PATH"
    )]
    Scheme,
    /// There are query parameters.
    #[error("query parameters are not supported; write ? and # in a password as %3F and %23")]
    Query,
    /// The host is missing or contains whitespace.
    #[error("missing host; expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]")]
    Host,
    /// The port is not a number from 0 to 65535.
    #[error("invalid port; write / and : in a password as %2F and %3A")]
    Port,
    /// There are several hosts, but neither sentinels nor a cluster.
    #[error("several hosts need redis+sentinel:// or redis-cluster://")]
    MultipleHosts,
    /// There are sentinels, but no service.
    #[error("missing service name; expected redis+sentinel://HOST,HOST/SERVICE")]
    MissingService,
    /// The database is not a number, or was given for a cluster, which has only one.
    #[error("invalid database; expected a number, and none for a cluster")]
    Database,
    /// The path of the Unix socket is not absolute, or has a parameter other than the database.
    #[error("invalid Unix socket; expected redis+unix://[USER:PASSWORD@]/PATH[?db=DATABASE]")]
    Socket,
    /// The user, the password, the service or the path is not UTF-8.
    #[error("the user, the password, the service or the path is not valid UTF-8")]
    NotUtf8,
}
