//! Two Redis, one of them for limits per second.

use weir::limit::{Charge, LimitKind};
use weir::request::Cost;
use weir::store::{Batch, MemoryConfig, Store};

use crate::stores::{
    NOW, address, apply, count_counters, exact, hit, key, limit, patient, rule, with_servers,
};
use weir_harness::RedisServer;

#[test]
fn limits_per_second_are_counted_in_the_second_one() {
    with_servers(async {
        let (main, per_second) = (RedisServer::start(), RedisServer::start());
        let configs = [&main, &per_second].map(|redis| exact(address(redis.url())));
        let [of_main, of_per_second] = configs;
        let store = Store::redis_pair(of_main, of_per_second, MemoryConfig::default()).unwrap();
        store.prepare();
        store.connected().await;
        let second = rule([limit(LimitKind::FixedWindow, 2, 1)], Charge::Always);
        let day = rule([limit(LimitKind::FixedWindow, 3, 86_400)], Charge::Always);
        let both = rule(
            [
                limit(LimitKind::FixedWindow, 9, 1),
                limit(LimitKind::FixedWindow, 9, 60),
            ],
            Charge::Always,
        );
        let hits = [
            hit(key(&store, "day"), &day, Cost::Hits(1)),
            hit(key(&store, "second"), &second, Cost::Hits(1)),
            hit(key(&store, "both"), &both, Cost::Hits(1)),
        ];
        for (day_is_over, second_is_over) in
            [(false, false), (false, false), (false, true), (true, true)]
        {
            let answer = apply(&store, NOW, &hits).await;
            assert!(answer.not_counted.is_empty());
            let refused = answer.outcomes.iter().map(|outcomes| outcomes.refused);
            let refused: Vec<bool> = refused.collect();
            assert_eq!(refused, [day_is_over, second_is_over, false]);
        }
        let counters = |redis: &RedisServer| count_counters(&redis.cli(&["keys", "*"]));
        assert_eq!((counters(&main), counters(&per_second)), (2, 1));

        assert!(store.reset(key(&store, "second")).await.unwrap());
        assert!(store.reset(key(&store, "day")).await.unwrap());
        assert_eq!((counters(&main), counters(&per_second)), (1, 0));
        assert_eq!(store.stats().shared.unwrap().connections, 2);

        // An atomic domain decides in one place.
        let batch = Batch {
            hits: hits.into_iter().collect(),
            atomic: true,
        };
        store.hit(NOW, &batch).await;
        assert_eq!((counters(&main), counters(&per_second)), (3, 0));
    });
}

#[test]
fn one_that_is_away_keeps_the_other_from_nothing() {
    with_servers(async {
        let (main, mut per_second) = (RedisServer::start(), RedisServer::start());
        let configs = [&main, &per_second].map(|redis| patient(address(redis.url())));
        let [of_main, of_per_second] = configs;
        let store = Store::redis_pair(of_main, of_per_second, MemoryConfig::default()).unwrap();
        store.prepare();
        store.connected().await;
        per_second.kill();
        let second = rule([limit(LimitKind::FixedWindow, 1, 1)], Charge::Always);
        let day = rule([limit(LimitKind::FixedWindow, 9, 86_400)], Charge::Always);
        let hits = [
            hit(key(&store, "second"), &second, Cost::Hits(1)),
            hit(key(&store, "day"), &day, Cost::Hits(1)),
        ];
        let answer = apply(&store, NOW, &hits).await;
        let lost: Vec<usize> = answer.not_counted.iter().map(|one| one.index).collect();
        assert_eq!(lost, [0]);
        assert!(answer.outcomes[0].limits.is_empty());
        assert_eq!(answer.outcomes[1].limits[0].available, 8);

        let alone = Batch {
            hits: [hits[0]].into_iter().collect(),
            atomic: false,
        };
        let counted = store.hit_local(NOW, &alone, &answer.not_counted);
        assert!(!counted[0].refused);
        let counted = store.hit_local(NOW, &alone, &answer.not_counted);
        assert!(counted[0].refused);
    });
}
