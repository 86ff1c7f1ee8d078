//! weir without a wire: a policy, a clock that tests move, and answers in short words.

use std::path::Path;
use std::time::Duration;

use weir::clock::{Clock, ManualClock, Timestamp};
use weir::engine::{Code, Decision, Engine, Status};
use weir::policy;
use weir::request::{Cost, Descriptor, Entry, Override, Request, Unit};

use crate::stores;

/// A Tuesday, ten seconds into a minute, an hour and a day (UTC).
pub(crate) const START: Timestamp = Timestamp::from_secs(1_699_920_010);

pub(crate) struct Weir {
    engine: Engine,
    clock: ManualClock,
    runtime: tokio::runtime::Runtime,
}

impl Weir {
    /// With the policy of a text, which must be without errors.
    pub(crate) fn new(yaml: &str) -> Self {
        let clock = ManualClock::new(START);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let store = stores::fresh(&runtime);
        let engine = Engine::new(load(yaml), store, Clock::Manual(clock.clone()));
        Self {
            engine,
            clock,
            runtime,
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.clock.set(now);
    }

    pub(crate) fn reload(&self, yaml: &str) {
        drop(self.engine.replace_policy(load(yaml)));
    }

    pub(crate) fn ask(&self, domain: &str, descriptors: &[Descriptor]) -> Decision {
        let domain = domain.to_owned().into();
        let request = Request {
            domain,
            descriptors: descriptors.to_vec(),
        };
        self.runtime.block_on(self.engine.decide(&request))
    }

    /// The statuses and the overall code in short words: `none`, `unlimited`, `ok 19 of 20/hour`, `over 20/hour`.
    pub(crate) fn words(&self, domain: &str, descriptors: &[Descriptor]) -> String {
        let decision = self.ask(domain, descriptors);
        let statuses: Vec<_> = decision.statuses.iter().map(words).collect();
        let code = match decision.code {
            Code::Ok => "OK",
            Code::OverLimit => "OVER_LIMIT",
        };
        format!("{} => {code}", statuses.join(", "))
    }

    /// The words of the only status.
    pub(crate) fn one(&self, domain: &str, descriptor: Descriptor) -> String {
        words(&self.ask(domain, &[descriptor]).statuses[0])
    }
}

fn load(yaml: &str) -> policy::Policy {
    let loaded = policy::load_text(Path::new("test.yaml"), yaml);
    let faults: Vec<_> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    loaded
        .policy
        .unwrap_or_else(|| panic!("{}", faults.join("\n")))
}

pub(crate) fn words(status: &Status) -> String {
    let Some(limit) = &status.limit else {
        assert_eq!((status.code, status.reset_after_secs), (Code::Ok, None));
        return match status.remaining {
            0 => "none".into(),
            u32::MAX => "unlimited".into(),
            other => panic!("{other} remain of no limit"),
        };
    };
    assert!(status.reset_after_secs.is_some());
    assert!(status.remaining <= limit.quota.number());
    let per = match limit
        .quota
        .window()
        .map(|window| (window.multiplier(), window.unit()))
    {
        Some((1, unit)) => format!("/{}", unit.name()),
        Some((times, unit)) => format!("/{times} {}", unit.name()),
        None => " at once".to_owned(),
    };
    let limited = format!("{}{per}", limit.quota.number());
    let named = limit
        .name
        .as_ref()
        .map_or(String::new(), |name| format!(" {name}"));
    match status.code {
        Code::Ok => format!("ok {} of {limited}{named}", status.remaining),
        Code::OverLimit => format!("over {limited}{named}"),
    }
}

/// A descriptor written as `key=value key=value`; a value may hold anything but a blank.
pub(crate) fn d(text: &str) -> Descriptor {
    let entries = text.split_whitespace().map(|entry| {
        let (key, value) = entry.split_once('=').unwrap();
        Entry {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
        }
    });
    Descriptor {
        entries: entries.collect(),
        ..Descriptor::default()
    }
}

/// The same with another cost or a limit of its own.
pub(crate) trait With {
    fn hits(self, hits: u32) -> Self;
    fn look(self) -> Self;
    fn refund(self, hits: u32) -> Self;
    fn limit(self, requests_per_unit: u32, unit: Unit) -> Self;
}

impl With for Descriptor {
    fn hits(self, hits: u32) -> Self {
        Self {
            cost: Cost::Hits(hits),
            ..self
        }
    }

    fn look(self) -> Self {
        Self {
            cost: Cost::Peek,
            ..self
        }
    }

    fn refund(self, hits: u32) -> Self {
        Self {
            cost: Cost::Refund(hits),
            ..self
        }
    }

    fn limit(self, requests_per_unit: u32, unit: Unit) -> Self {
        Self {
            limit: Some(Override {
                requests_per_unit,
                unit,
                unit_multiplier: 1,
            }),
            ..self
        }
    }
}
