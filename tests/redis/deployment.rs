//! Servers that belong together: a cluster of three, and a master with its replica and a sentinel.

use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;
use weir::store::RedisAddress;

use super::server::{RedisServer, free_port, program};

/// Three parts, none of which has a replica.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<RedisServer>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let start = |_| {
            RedisServer::at(
                cluster_port(),
                &["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"],
            )
        };
        let nodes: Vec<RedisServer> = (0..3).map(start).collect();
        let cluster = Self { nodes };
        let made = Command::new(program("cli"))
            .args(["--cluster", "create"])
            .args(cluster.nodes())
            .args(["--cluster-replicas", "0", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stdout)
        );
        let is_ok =
            |node: &RedisServer| node.cli(&["cluster", "info"]).contains("cluster_state:ok");
        let are_ok = || cluster.nodes.iter().all(is_ok);
        assert!((0..2_000).any(|_| are_ok()), "no cluster");
        cluster
    }

    /// One of which a part serves on when another is gone.
    pub(crate) fn of_independent_parts() -> Self {
        let cluster = Self::start();
        for node in &cluster.nodes {
            node.cli(&["config", "set", "cluster-require-full-coverage", "no"]);
        }
        cluster
    }

    fn nodes(&self) -> impl Iterator<Item = String> {
        self.nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
    }

    pub(crate) fn address(&self) -> RedisAddress {
        let nodes: Vec<String> = self.nodes().collect();
        let address = format!("redis-cluster://{}", nodes.join(","));
        address.parse().unwrap()
    }
}

/// A port whose cluster bus, ten thousand higher, is a port too.
fn cluster_port() -> u16 {
    let mut kept = Vec::new();
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
        kept.push(listener);
    }
}

/// A master that a sentinel takes for dead after half a second, to put the replica in its place.
pub(crate) struct Watched {
    pub(crate) master: RedisServer,
    replica: RedisServer,
    sentinel: RedisServer,
    _folder: TempDir,
}

/// What each kind of server asks for; nothing if it lets in everybody.
#[derive(Clone, Copy, Default)]
pub(crate) struct Passwords<'a> {
    pub(crate) redis: &'a str,
    pub(crate) sentinel: &'a str,
}

impl Watched {
    pub(crate) fn start() -> Self {
        Self::with(Passwords::default())
    }

    pub(crate) fn with(passwords: Passwords<'_>) -> Self {
        let Passwords { redis, sentinel } = passwords;
        let login = ["--requirepass", redis, "--masterauth", redis];
        let master = RedisServer::with(&login);
        let of_master = ["--replicaof", "127.0.0.1", &master.port.to_string()];
        let replica = RedisServer::with(&[&login[..], &of_master].concat());
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("sentinel.conf");
        let mut text = format!(
            "sentinel monitor shop 127.0.0.1 {} 1\nsentinel down-after-milliseconds shop 500\n\
             sentinel failover-timeout shop 2000\n",
            master.port
        );
        if !redis.is_empty() {
            text.push_str(&format!("sentinel auth-pass shop {redis}\n"));
        }
        if !sentinel.is_empty() {
            text.push_str(&format!("requirepass {sentinel}\n"));
        }
        let says = |server: &RedisServer, password: &str, asked: &[&str], expected: &str| {
            let login: &[&str] = if password.is_empty() {
                &[]
            } else {
                &["-a", password]
            };
            let asked = [login, asked].concat();
            (0..5_000).any(|_| server.cli(&asked).contains(expected))
        };
        let asked = ["info", "replication"];
        let is_linked = says(&replica, redis, &asked, "master_link_status:up");
        assert!(is_linked, "no replica");
        std::fs::write(&file, text).unwrap();
        let watched = Self {
            sentinel: RedisServer::at(free_port(), &[file.to_str().unwrap(), "--sentinel"]),
            master,
            replica,
            _folder: folder,
        };
        let asked = ["sentinel", "replicas", "shop"];
        let port = watched.replica.port.to_string();
        let knows = says(&watched.sentinel, sentinel, &asked, &port);
        assert!(knows, "the sentinel does not know the replica");
        watched
    }

    pub(crate) fn address(&self) -> RedisAddress {
        let address = format!("redis+sentinel://127.0.0.1:{}/shop", self.sentinel.port);
        address.parse().unwrap()
    }
}
