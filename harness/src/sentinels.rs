//! A master, its replica, and a sentinel that watches them.

use tempfile::TempDir;

use crate::{RedisServer, free_port};

/// A master that is replaced by its replica half a second after it has failed.
pub struct Sentinels {
    /// The first master.
    pub master: RedisServer,
    replica: RedisServer,
    sentinel: RedisServer,
    _folder: TempDir,
}

/// The password that each kind of server asks for; an empty one admits everybody.
#[derive(Clone, Copy, Default)]
pub struct Passwords<'a> {
    /// Of the master and the replica.
    pub redis: &'a str,
    /// Of the sentinel.
    pub sentinel: &'a str,
}

impl Sentinels {
    /// Starts servers without passwords.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Passwords::default())
    }

    /// Starts servers with passwords.
    ///
    /// # Panics
    /// When the servers do not find each other.
    #[must_use]
    pub fn start_with(passwords: Passwords<'_>) -> Self {
        let Passwords { redis, sentinel } = passwords;
        let login = ["--requirepass", redis, "--masterauth", redis];
        let master = RedisServer::start_with(&login);
        let of_master = ["--replicaof", "127.0.0.1", &master.port().to_string()];
        let replica = RedisServer::start_with(&[&login[..], &of_master].concat());
        wait_for(
            &replica,
            redis,
            &["info", "replication"],
            "master_link_status:up",
        );
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, configuration(master.port(), passwords)).unwrap();
        let file = file.to_str().unwrap();
        let servers = Self {
            sentinel: RedisServer::start_at(free_port(), &[file, "--sentinel"]),
            master,
            replica,
            _folder: folder,
        };
        let port = servers.replica.port().to_string();
        let asked = ["sentinel", "replicas", "shop"];
        wait_for(&servers.sentinel, sentinel, &asked, &port);
        servers
    }

    /// `redis+sentinel://127.0.0.1:PORT/shop`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/shop", self.sentinel.port())
    }
}

fn configuration(master: u16, passwords: Passwords<'_>) -> String {
    let mut text = format!(
        "sentinel monitor shop 127.0.0.1 {master} 1\nsentinel down-after-milliseconds shop 500\n\
         sentinel failover-timeout shop 2000\n"
    );
    if !passwords.redis.is_empty() {
        text.push_str(&format!("sentinel auth-pass shop {}\n", passwords.redis));
    }
    if !passwords.sentinel.is_empty() {
        text.push_str(&format!("requirepass {}\n", passwords.sentinel));
    }
    text
}

/// Repeats a command until its output contains a text.
fn wait_for(server: &RedisServer, password: &str, command: &[&str], expected: &str) {
    let login: &[&str] = if password.is_empty() {
        &[]
    } else {
        &["-a", password]
    };
    let command = [login, command].concat();
    assert!(
        (0..5_000).any(|_| server.cli(&command).contains(expected)),
        "{command:?} does not report {expected}"
    );
}
