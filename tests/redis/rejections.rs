//! A server that answers, and does not count: each is reported once, with what to do, and asked again after pauses.

use std::io::Write;
use std::process::Command;

use weir::engine::{Code, CountingStatus, Engine};
use weir::store::{Password, RedisAddress};
use weir_harness::{Process, RedisServer, StrictProxy, UnknownCommand, free_port, program};

use crate::instances::{ask, counting, decide, start, until};
use crate::stores::{address, patient, runtime, with_servers};

/// Attempts to connect that are waited for.
const ATTEMPTS: u64 = 5;

/// Waits until something is wrong.
async fn reason(engine: &Engine) -> String {
    loop {
        match engine.unavailable_reason() {
            Some(reason) => return reason,
            None => tokio::task::yield_now().await,
        }
    }
}

fn received_connections(redis: &RedisServer) -> u64 {
    let statistics = redis.cli(&["info", "stats"]);
    let line = statistics
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}

/// Until weir has tried a few times more. It must not believe any of the connections.
async fn rejected_again_and_again(engine: &Engine, redis: &RedisServer) {
    let connects = engine.stats().shared.unwrap().connects;
    let first = received_connections(redis);
    // Each look is a connection, too.
    for looks in 1.. {
        if received_connections(redis) - first - looks >= ATTEMPTS {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let stats = engine.stats().shared.unwrap();
    assert_eq!(stats.connects, connects);
    assert!(!stats.is_up);
    let degraded = (Code::Ok, CountingStatus::Degraded);
    assert_eq!(ask(engine, "plain").await, degraded);
}

#[test]
fn a_user_without_permissions_is_told_which() {
    with_servers(async {
        for (rules, named) in [
            ("+@all -evalsha ~*", "'evalsha'"),
            ("+@all -eval -evalsha ~*", "'evalsha'"),
            ("+@all -eval ~*", "'eval'"),
            ("+@all -time ~*", "time"),
            ("+@all -set ~*", "set"),
            ("+@all -get ~*", "get"),
            ("+@all ~weir:meta", "keys"),
            ("+@all %R~*", "keys"),
        ] {
            let redis = RedisServer::start();
            let define = |rules: &str| {
                let user = ["acl", "setuser", "weir", "on", ">open", "resetkeys"];
                let words: Vec<&str> = user.into_iter().chain(rules.split(' ')).collect();
                assert_eq!(redis.cli(&words), "OK", "{rules}");
            };
            define(rules);
            let with_user: RedisAddress =
                redis.url().replace("//", "//weir:open@").parse().unwrap();
            let engine = start(patient(with_user));
            until(&engine, CountingStatus::Degraded).await;
            let reason = reason(&engine).await;
            assert!(reason.contains("the user may run"), "{rules}: {reason}");
            assert!(reason.contains(named), "{rules}: {reason}");
            rejected_again_and_again(&engine, &redis).await;
            define("+@all ~*");
            until(&engine, CountingStatus::Counted).await;
            assert_eq!(engine.unavailable_reason(), None);
        }
    });
}

/// The permissions of a user in docs/redis.md.
fn documented_permissions() -> String {
    let page = include_str!("../../docs/redis.md");
    let line = page.lines().find(|line| line.starts_with("ACL SETUSER"));
    let (_, rules) = line.unwrap().split_once(">PASSWORD ").unwrap();
    // Only a cluster knows the command.
    rules.replace(" +cluster|slots", "")
}

#[test]
fn every_hit_counts_with_the_documented_permissions_and_without_setrange() {
    with_servers(async {
        let documented = documented_permissions();
        assert!(documented.contains("+setrange"), "{documented}");
        let without = documented.replace(" +setrange", "");
        for rules in [&documented, &without] {
            let redis = RedisServer::start();
            let mut user = vec!["acl", "setuser", "weir", "on", ">open"];
            user.extend(rules.split(' '));
            assert_eq!(redis.cli(&user), "OK", "{rules}");
            let url = redis.url().replace("//", "//weir:open@");
            let engine = start(patient(address(url)));
            until(&engine, CountingStatus::Counted).await;
            for hits in 1..=4 {
                let decision = decide(&engine, "plain").await;
                assert_eq!(decision.counting_status, CountingStatus::Counted, "{rules}");
                let remaining = decision.statuses[0].remaining;
                assert_eq!(remaining, 100 - hits, "{rules}");
            }
        }
    });
}

#[test]
fn permissions_that_are_withdrawn_while_weir_counts_are_reported() {
    with_servers(async {
        let redis = RedisServer::start();
        let engine = counting(&redis).await;
        redis.run(&["acl", "setuser", "default", "-eval", "-evalsha"]);
        until(&engine, CountingStatus::Degraded).await;
        rejected_again_and_again(&engine, &redis).await;
        redis.run(&["acl", "setuser", "default", "+eval", "+evalsha"]);
        until(&engine, CountingStatus::Counted).await;
        assert_eq!(engine.unavailable_reason(), None);
    });
}

#[test]
fn a_master_that_becomes_a_replica_is_not_believed() {
    with_servers(async {
        let redis = RedisServer::start();
        let engine = counting(&redis).await;
        assert_eq!(ask(&engine, "plain").await.1, CountingStatus::Counted);
        redis.run(&["replicaof", "127.0.0.1", "1"]);
        while ask(&engine, "plain").await.1 == CountingStatus::Counted {}
        let reason = reason(&engine).await;
        assert!(reason.contains("read-only replica"), "{reason}");
        rejected_again_and_again(&engine, &redis).await;
        redis.run(&["replicaof", "no", "one"]);
        until(&engine, CountingStatus::Counted).await;
    });
}

#[test]
fn a_missing_or_wrong_login_is_reported() {
    with_servers(async {
        let redis = RedisServer::start_with(&["--requirepass", "open-sesame"]);
        let none = address(redis.url());
        let wrong = none.clone().with_password(Password::new("open-barley"));
        for address in [none, wrong] {
            let engine = start(patient(address));
            let reason = reason(&engine).await;
            assert!(reason.contains("check user and password"), "{reason}");
            assert!(!reason.contains("barley"), "{reason}");
        }
    });
}

#[test]
fn a_server_without_scripts_is_reported_and_its_text_is_cut() {
    with_servers(async {
        const KNOWN: &[&str] = &["GET", "SET", "PEXPIRE"];
        let redis = RedisServer::start();
        let secret = "ERR unknown command 'EVALSHA', with args beginning with: 'hush'";
        let long = format!("ERR {}", "x".repeat(1_000_000));
        for (answer, said) in [(secret.to_owned(), "must run Lua scripts"), (long, "xxx")] {
            let proxy = StrictProxy::start(&redis, KNOWN, UnknownCommand::Answer(answer)).await;
            let engine = start(patient(address(proxy.url())));
            let reason = reason(&engine).await;
            assert!(reason.contains(said), "{reason}");
            assert!(!reason.contains("hush") && reason.len() < 500, "{reason}");
            rejected_again_and_again(&engine, &redis).await;
        }
    });
}

#[test]
fn a_proxy_that_closes_at_unknown_commands_works() {
    with_servers(async {
        // All that weir sends to a single server.
        const KNOWN: &[&str] = &["GET", "SET", "PEXPIRE", "EVALSHA", "EVAL"];
        let redis = RedisServer::start();
        let proxy = StrictProxy::start(&redis, KNOWN, UnknownCommand::Close).await;
        let engine = start(patient(address(proxy.url())));
        until(&engine, CountingStatus::Counted).await;
        let counted = (Code::Ok, CountingStatus::Counted);
        assert_eq!(ask(&engine, "plain").await, counted);
        assert_eq!(engine.stats().shared.unwrap().connects, 1);
    });
}

#[test]
fn counters_are_shared_through_envoy() {
    let (true, Some(envoy)) = (program::REDIS.is_installed(), program::ENVOY.or_skip()) else {
        return;
    };
    runtime().block_on(async {
        let redis = RedisServer::start();
        let port = free_port();
        let config = format!(
            "
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: redis
          settings: {{op_timeout: 5s}}
          prefix_routes: {{catch_all_route: {{cluster: redis}}}}
  clusters:
  - name: redis
    type: STATIC
    load_assignment:
      cluster_name: redis
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}
",
            redis.port()
        );
        let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        file.write_all(config.as_bytes()).unwrap();
        let _envoy = Process::start(
            Command::new(envoy)
                .args(["--concurrency", "1", "--use-dynamic-base-id", "-c"])
                .arg(file.path()),
        );
        let proxied = format!("redis://127.0.0.1:{port}");
        let engine = start(patient(address(proxied)));
        until(&engine, CountingStatus::Counted).await;
        let counted = (Code::Ok, CountingStatus::Counted);
        assert_eq!(ask(&engine, "plain").await, counted);
        let direct = counting(&redis).await;
        for _ in 1..100 {
            assert_eq!(ask(&direct, "plain").await, counted);
        }
        assert_eq!(ask(&engine, "plain").await.0, Code::OverLimit);
    });
}
