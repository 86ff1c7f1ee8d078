//! A Redis Cluster of three nodes, none of which has a replica.

use std::process::Command;

use crate::RedisServer;
use crate::port::free_cluster_port;
use crate::program::redis_program;

/// Three nodes that share the hash slots.
pub struct Cluster {
    /// The nodes, in the order in which the slots were given to them.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts a cluster that answers nothing while one of its nodes is gone.
    ///
    /// # Panics
    /// When the cluster does not form.
    #[must_use]
    pub fn start() -> Self {
        let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let nodes = (0..3)
            .map(|_| RedisServer::start_at(free_cluster_port(), &arguments))
            .collect();
        let cluster = Self { nodes };
        let addresses: Vec<String> = cluster.node_addresses().collect();
        let mut create = vec!["create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "0", "--cluster-yes"]);
        manage(&create);
        let is_ok =
            |node: &RedisServer| node.cli(&["cluster", "info"]).contains("cluster_state:ok");
        let are_ok = || cluster.nodes.iter().all(is_ok);
        assert!((0..2_000).any(|_| are_ok()), "the cluster is not ready");
        cluster
    }

    /// Starts a cluster whose nodes serve their own slots while another node is gone.
    #[must_use]
    pub fn start_with_independent_nodes() -> Self {
        let cluster = Self::start();
        for node in &cluster.nodes {
            node.run(&["config", "set", "cluster-require-full-coverage", "no"]);
        }
        cluster
    }

    /// `redis-cluster://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.node_addresses().collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// Moves all hash slots of a node to the others.
    pub fn drain(&self, node: &RedisServer) {
        let address = format!("127.0.0.1:{}", node.port());
        let weight = format!("{}=0", node.cli(&["cluster", "myid"]));
        manage(&["rebalance", &address, "--cluster-weight", &weight]);
    }

    fn node_addresses(&self) -> impl Iterator<Item = String> {
        self.nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
    }
}

fn manage(arguments: &[&str]) {
    let output = Command::new(redis_program("cli"))
        .arg("--cluster")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
