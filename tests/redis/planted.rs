//! Values that weir did not write: a number out of its range, cut off, of another type. Each counts as no state.

use weir::limit::{Charge, LimitKind, LimitSet};
use weir::request::Cost;
use weir::store::{RedisConfig, Store};

use crate::stores::{
    NOW, address, apply, bucket, common_server, connected, exact, hit, key, limit, prefix, rule,
    runtime, slots, with_lease, with_servers,
};
use weir_harness::program;

/// The limit of every rule here.
const LIMIT: u32 = 10;

/// The first number that is out of every range.
const TOO_LARGE: u64 = 1 << 53;

/// The state of a limit of a minute, with these numbers.
fn state(algorithm: u8, numbers: &[u64]) -> Vec<u8> {
    let mut bytes = vec![algorithm];
    bytes.extend(60u32.to_le_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// A lease table with one lease of one slot.
fn leases(slots: u64, latest: u64, length: u32, until: u64) -> Vec<u8> {
    let mut bytes = state(4, &[slots, latest]);
    bytes.extend(length.to_le_bytes());
    bytes.extend([7; 16]);
    bytes.extend(until.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes
}

/// The sound numbers, each replaced in turn by one that is too large.
fn one_too_large(sound: &[u64]) -> Vec<Vec<u64>> {
    let at_and_number = (0..sound.len()).flat_map(|at| [(at, TOO_LARGE), (at, u64::MAX)]);
    at_and_number
        .map(|(at, number)| {
            let mut numbers = sound.to_vec();
            numbers[at] = number;
            numbers
        })
        .collect()
}

/// Values that are not states of that algorithm.
fn invalid(algorithm: u8) -> Vec<Vec<u8>> {
    let now = NOW.micros();
    let segment = now / (60_000_000 / 16);
    let sound: Vec<u64> = match algorithm {
        1 => vec![now - now % 60_000_000, 3],
        2 => [segment].into_iter().chain([1; 17]).collect(),
        3 => vec![now, 5, 6_000_000],
        _ => {
            let until = now + 60_000_000;
            return vec![
                leases(u64::MAX, now, 28, until),
                leases(1, TOO_LARGE, 28, until),
                leases(1, now, 28, TOO_LARGE),
                leases(1, now, 27, until),
                leases(1, now, 56, until),
                leases(1, now, u32::MAX, until),
            ];
        }
    };
    let mut values: Vec<_> = one_too_large(&sound)
        .iter()
        .map(|numbers| state(algorithm, numbers))
        .collect();
    let whole = state(algorithm, &sound);
    values.push(whole[..whole.len() - 1].to_vec());
    values.push([&whole[..], &[9]].concat());
    values.push(whole.repeat(17));
    if algorithm == 2 {
        // Each segment is within its range, and their sum is not.
        values.push(state(2, &[&[segment][..], &[1 << 49; 17]].concat()));
    }
    values
}

fn plant(name: &str, value: &[u8]) {
    let script = "return redis.call('SET', KEYS[1], (ARGV[1]:gsub('..', function(digits) \
                  return string.char(tonumber(digits, 16)) end)))";
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let planted = common_server().cli(&["eval", script, "1", name, &hex]);
    assert_eq!(planted, "OK");
}

/// What is left after a hit that Redis must count.
async fn left(store: &Store, set: &LimitSet) -> u32 {
    let hit = with_lease(
        hit(key(store, "planted"), set, Cost::Hits(1)),
        store.new_lease(),
    );
    let answer = apply(store, NOW, &[hit]).await;
    assert!(
        answer.not_counted.is_empty(),
        "{:?}",
        store.unavailable_reason()
    );
    answer.outcomes[0].limits[0].available
}

#[test]
fn a_value_that_weir_did_not_write_counts_as_none_and_is_replaced() {
    if !program::REDIS.is_installed() {
        return;
    }
    let rules = [
        rule([limit(LimitKind::FixedWindow, LIMIT, 60)], Charge::Allowed),
        rule(
            [limit(LimitKind::SlidingWindow, LIMIT, 60)],
            Charge::Allowed,
        ),
        rule([bucket(LIMIT, LIMIT, 60)], Charge::Allowed),
        rule([slots(LIMIT, 60)], Charge::Allowed),
    ];
    runtime().block_on(async {
        for (algorithm, set) in (1..).zip(&rules) {
            let prefix = prefix();
            let config = RedisConfig {
                prefix: prefix.clone(),
                ..exact(address(common_server().url()))
            };
            let store = connected(config).await;
            left(&store, set).await;
            let name = format!("{prefix}1:{}", key(&store, "planted").hex());
            for value in invalid(algorithm) {
                plant(&name, &value);
                assert_eq!(left(&store, set).await, LIMIT - 1, "{set:?} {value:?}");
                assert_eq!(left(&store, set).await, LIMIT - 2, "{set:?} {value:?}");
                assert_eq!(common_server().cli(&["ping"]), "PONG");
            }
            common_server().run(&["del", &name]);
            common_server().run(&["rpush", &name, "of another type"]);
            assert_eq!(left(&store, set).await, LIMIT - 1, "{set:?}");
            assert_eq!(left(&store, set).await, LIMIT - 2, "{set:?}");
        }
    });
}

/// A table that claims more slots than its leases hold is corrected when these have expired.
#[test]
fn slots_that_no_lease_holds_are_free_when_the_leases_have_expired() {
    with_servers(async {
        let prefix = prefix();
        let config = RedisConfig {
            prefix: prefix.clone(),
            ..exact(address(common_server().url()))
        };
        let store = connected(config).await;
        let set = rule([slots(LIMIT, 60)], Charge::Allowed);
        let name = format!("{prefix}1:{}", key(&store, "planted").hex());
        for slots in [0, 1 << 50] {
            plant(
                &name,
                &leases(slots, NOW.micros() - 1, 28, NOW.micros() - 1),
            );
            assert_eq!(left(&store, &set).await, LIMIT - 1);
        }
    });
}
