//! A cluster, sentinels and a failover, TLS, a Unix socket.

use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::time::Instant;
use weir::engine::{Code, CountingStatus};
use weir::limit::{Charge, LeaseOutcome, LimitKind};
use weir::request::Cost;
use weir::store::{Batch, Identity, RedisAddress, RedisConfig, RedisTls};

use weir_harness::{Authority, Cluster, RedisServer, Sentinels, free_port};

use crate::instances::{ask, start, until};
use crate::stores::{
    NOW, address, apply, connected, count_counters, exact, hit, key, limit, passes, patient, rule,
    slots, with_lease, with_servers,
};

#[test]
fn a_cluster_counts_as_one_and_hash_slots_can_move() {
    with_servers(async {
        let cluster = Cluster::start();
        let nodes = &cluster.nodes;
        let store = connected(exact(address(cluster.url()))).await;
        let set = rule([limit(LimitKind::FixedWindow, 3, 3_600)], Charge::Allowed);
        // One request with counters in many hash slots.
        let names: Vec<_> = (0..40).map(|n| key(&store, &n.to_string())).collect();
        let hits: Vec<_> = names
            .iter()
            .map(|name| hit(*name, &set, Cost::Hits(1)))
            .collect();
        for round in 0..4 {
            let answer = apply(&store, NOW, &hits).await;
            assert!(
                answer.not_counted.is_empty(),
                "{:?}",
                store.unavailable_reason()
            );
            assert!(
                answer
                    .outcomes
                    .iter()
                    .all(|outcomes| outcomes.refused == (round == 3))
            );
        }
        let counters = nodes
            .iter()
            .map(|node| count_counters(&node.cli(&["keys", "*"])));
        assert_eq!(counters.sum::<usize>(), 40);

        cluster.drain(&nodes[0]);
        assert_eq!(nodes[0].cli(&["dbsize"]), "0");
        let answer = apply(&store, NOW, &hits).await;
        assert!(
            answer.not_counted.is_empty(),
            "{:?}",
            store.unavailable_reason()
        );
        assert!(answer.outcomes.iter().all(|outcomes| outcomes.refused));
    });
}

#[test]
fn slots_of_a_request_that_another_hash_slot_refuses_are_released() {
    with_servers(async {
        let cluster = Cluster::start();
        let store = connected(exact(address(cluster.url()))).await;
        let one_slot = rule([slots(1, 600)], Charge::Allowed);
        let none = rule([limit(LimitKind::FixedWindow, 0, 3_600)], Charge::Allowed);
        let lease = store.new_lease();
        for index in 0..20 {
            let slot = hit(
                key(&store, &format!("slot {index}")),
                &one_slot,
                Cost::Hits(1),
            );
            let over = hit(key(&store, &format!("over {index}")), &none, Cost::Hits(1));
            let batch = Batch {
                hits: [with_lease(slot, lease), over].into_iter().collect(),
                atomic: false,
            };
            let answer = store.hit(NOW, &batch).await;
            assert_eq!(answer.outcomes[0].lease, LeaseOutcome::None);
            let peek = [hit(slot.key, &one_slot, Cost::Peek)];
            let left = apply(&store, NOW, &peek).await.outcomes[0].limits[0].available;
            assert_eq!(left, 1);
        }
    });
}

#[test]
fn a_killed_node_of_a_cluster_does_not_affect_the_others() {
    with_servers(async {
        let mut cluster = Cluster::start_with_independent_nodes();
        let config = RedisConfig {
            deadline: Duration::from_millis(200),
            ..exact(address(cluster.url()))
        };
        let store = connected(config).await;
        let set = rule(
            [limit(LimitKind::FixedWindow, 1_000, 3_600)],
            Charge::Allowed,
        );
        cluster.nodes[2].kill();
        let mut counted = 0;
        for n in 0..60 {
            let name = key(&store, &n.to_string());
            let answer = apply(&store, NOW, &[hit(name, &set, Cost::Hits(1))]).await;
            counted += u32::from(answer.not_counted.is_empty());
        }
        assert!((10..60).contains(&counted), "{counted} of 60");
    });
}

#[test]
fn a_frozen_node_of_a_cluster_does_not_slow_down_the_others() {
    const KEYS: usize = 60;
    const DEADLINE: Duration = Duration::from_millis(500);
    with_servers(async {
        let cluster = Cluster::start_with_independent_nodes();
        let config = RedisConfig {
            deadline: DEADLINE,
            ..exact(address(cluster.url()))
        };
        let store = connected(config).await;
        let set = rule(
            [limit(LimitKind::FixedWindow, 1_000, 3_600)],
            Charge::Allowed,
        );
        let keys: Vec<_> = (0..KEYS).map(|n| key(&store, &n.to_string())).collect();
        // Hits every key at once, and returns how many Redis has counted, and the slowest answer.
        let hit_all = || async {
            let calls = keys.iter().map(|key| async {
                let started = Instant::now();
                let answer = apply(&store, NOW, &[hit(*key, &set, Cost::Hits(1))]).await;
                (answer.not_counted.is_empty(), started.elapsed())
            });
            let answers = join_all(calls).await;
            let counted = answers.iter().filter(|(is_counted, _)| *is_counted);
            let slowest = answers.iter().map(|(_, elapsed)| *elapsed).max();
            (counted.count(), slowest.unwrap())
        };
        assert_eq!(hit_all().await.0, KEYS);
        // The key on which the instances agree is on one of them, too.
        let frozen = cluster
            .nodes
            .iter()
            .find(|node| !node.cli(&["keys", "*meta"]).contains("meta"));
        let frozen = frozen.unwrap();
        let on_frozen = count_counters(&frozen.cli(&["keys", "*"]));
        assert!((5..KEYS - 5).contains(&on_frozen), "{on_frozen}");
        frozen.freeze();
        // Until the circuit breaker of the node opens.
        for _ in 0..5 {
            assert_eq!(hit_all().await.0, KEYS - on_frozen);
        }
        for _ in 0..20 {
            let (counted, slowest) = hit_all().await;
            assert_eq!(counted, KEYS - on_frozen);
            assert!(slowest < DEADLINE, "{slowest:?}");
        }
        assert!(store.unavailable_reason().is_some());
        frozen.thaw();
        while hit_all().await.0 < KEYS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(store.unavailable_reason(), None);
    });
}

#[test]
fn a_failover_by_sentinels_is_followed() {
    with_servers(async {
        let mut watched = Sentinels::start();
        let engine = start(patient(address(watched.url())));
        until(&engine, CountingStatus::Counted).await;
        for _ in 0..60 {
            assert_eq!(
                ask(&engine, "plain").await,
                (Code::Ok, CountingStatus::Counted)
            );
        }
        watched.master.run(&["wait", "1", "1000"]);
        watched.master.kill();
        until(&engine, CountingStatus::Degraded).await;
        until(&engine, CountingStatus::Counted).await;
        let mut passed = 60;
        for _ in 0..60 {
            passed += u32::from(ask(&engine, "plain").await == (Code::Ok, CountingStatus::Counted));
        }
        // The hits that the replica had are not lost.
        assert_eq!(passed, 100);
    });
}

/// A certificate authority, and certificates of a server on loopback and of a client.
struct Certificates {
    folder: TempDir,
    authority: String,
    client: (String, String),
}

fn certificates() -> Certificates {
    certificates_for("127.0.0.1")
}

fn certificates_for(name: &str) -> Certificates {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new();
    let issue = || authority.issue(&[name]);
    let (server, client) = (issue(), issue());
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.path().join("server.pem"), &server.certificate).unwrap();
    std::fs::write(folder.path().join("server.key"), &server.key).unwrap();
    Certificates {
        authority: authority.pem(),
        folder,
        client: (client.certificate, client.key),
    }
}

impl Certificates {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A Redis with TLS alone, which requires certificates of clients or does not.
    fn server(&self, requires_certificates: &str) -> RedisServer {
        RedisServer::start_with(&[
            "--tls-port",
            "--port",
            "0",
            "--tls-cert-file",
            &self.path("server.pem"),
            "--tls-key-file",
            &self.path("server.key"),
            "--tls-ca-cert-file",
            &self.path("ca.pem"),
            "--tls-auth-clients",
            requires_certificates,
        ])
    }
}

#[test]
fn redis_can_require_tls_with_client_certificates() {
    with_servers(async {
        let made = certificates();
        let redis = made.server("yes");
        let address: RedisAddress = format!("rediss://127.0.0.1:{}", redis.port())
            .parse()
            .unwrap();
        let with = |tls| RedisConfig {
            tls,
            ..exact(address.clone())
        };
        let (certificate, client_key) = made.client.clone();
        let right = RedisTls {
            ca: Some(made.authority.clone().into_bytes()),
            identity: Some(Identity {
                certificate: certificate.into_bytes(),
                key: client_key.into_bytes(),
            }),
            server_name: None,
        };
        let store = connected(with(right.clone())).await;
        let set = rule([limit(LimitKind::FixedWindow, 1, 3_600)], Charge::Allowed);
        assert!(passes(&store, "tls", &set).await);
        assert!(!passes(&store, "tls", &set).await);

        for wrong in [
            RedisTls {
                ca: Some(certificates().authority.into_bytes()),
                ..right.clone()
            },
            RedisTls {
                identity: None,
                ..right
            },
        ] {
            let engine = start(with(wrong));
            until(&engine, CountingStatus::Degraded).await;
        }
    });
}

#[test]
fn the_name_in_the_certificate_and_tls_of_the_sentinels_can_be_set() {
    with_servers(async {
        let made = certificates_for("redis.example");
        let redis = made.server("no");
        // It names the master although it cannot reach it.
        let configuration = format!("sentinel monitor shop 127.0.0.1 {} 1\n", redis.port());
        std::fs::write(made.path("sentinel.conf"), configuration).unwrap();
        let sentinel =
            RedisServer::start_at(free_port(), &[&made.path("sentinel.conf"), "--sentinel"]);
        let single = format!("rediss://127.0.0.1:{}", redis.port());
        let by_sentinel = format!("rediss+sentinel://127.0.0.1:{}/shop", sentinel.port());
        let by_sentinel: RedisAddress = by_sentinel.parse().unwrap();
        let addresses = [
            single.parse().unwrap(),
            by_sentinel.with_sentinel_tls(false).unwrap(),
        ];
        let set = rule([limit(LimitKind::FixedWindow, 2, 3_600)], Charge::Allowed);
        for address in addresses {
            let with = |name: Option<&str>| RedisConfig {
                tls: RedisTls {
                    ca: Some(made.authority.clone().into_bytes()),
                    identity: None,
                    server_name: name.map(str::to_owned),
                },
                ..exact(address.clone())
            };
            let store = connected(with(Some("redis.example"))).await;
            assert!(passes(&store, "tls", &set).await);
            for wrong in [None, Some("other.example")] {
                let engine = start(with(wrong));
                until(&engine, CountingStatus::Degraded).await;
            }
        }
    });
}

#[test]
fn redis_can_listen_on_a_unix_socket() {
    with_servers(async {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("redis @ home.sock");
        let path = path.to_str().unwrap();
        let redis =
            RedisServer::start_with(&["--unixsocket", path, "--requirepass", "open-sesame"]);
        let encoded = path.replace(' ', "%20");
        let address = format!("redis+unix://:open-sesame@{encoded}?db=3");
        let store = connected(exact(address.parse().unwrap())).await;
        let set = rule([limit(LimitKind::FixedWindow, 1, 3_600)], Charge::Allowed);
        assert!(passes(&store, "socket", &set).await);
        assert!(!passes(&store, "socket", &set).await);
        let names = redis.cli(&["-a", "open-sesame", "-n", "3", "keys", "*"]);
        assert_eq!(count_counters(&names), 1);
    });
}
