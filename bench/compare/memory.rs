//! Resident memory of weir, and the time and memory of loading a policy and of restoring counters.

use std::path::Path;
use std::time::Instant;

use crate::keys::Choice;
use crate::pairs::Run;
use crate::policies;
use crate::servers::Running;
use crate::table::Measured;
use crate::throughput::{FOR_LONG, closed, one_key};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const RULES: u64 = 100_000;

/// Resident bytes that each new key adds to a running server.
pub(crate) fn of_counters(keys: u64) -> Result<Measured> {
    let weir = Running::weir(&policies::of_rules(1), &["--memory", "64G"])?;
    let taken = taken_by(&weir, keys)?;
    let detail = format!("{} MiB more of `weir serve`", taken >> 20);
    Ok(Measured::of(taken as f64 / keys as f64, detail))
}

/// The share of the memory budget that is resident after far more keys than fit into it.
pub(crate) fn of_budget() -> Result<Measured> {
    const BUDGET: u64 = 256 << 20;
    let budget = BUDGET.to_string();
    let weir = Running::weir(&policies::of_rules(1), &["--memory", &budget])?;
    let taken = taken_by(&weir, 6_000_000)?;
    let detail = format!(
        "{} of {} MiB after 6,000,000 keys",
        taken >> 20,
        BUDGET >> 20
    );
    Ok(Measured::of(taken as f64 / BUDGET as f64, detail))
}

fn taken_by(weir: &Running, keys: u64) -> Result<u64> {
    let ask = |choice, calls| {
        let load = closed(weir, &one_key(), choice, (calls, FOR_LONG));
        Run::of(weir, &load)
    };
    ask(Choice::One, 200_000)?;
    let before = weir.resident()?;
    ask(Choice::Fresh, keys)?;
    Ok(weir.resident()?.saturating_sub(before))
}

/// The minimum of several, because disturbances only make loading slower.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn load_seconds() -> Result<Measured> {
    let policy = policies::of_rules(RULES);
    let loads = (0..5).map(|_| {
        let start = Instant::now();
        let loaded = weir::policy::load_text(Path::new("bench.yaml"), &policy);
        let secs = start.elapsed().as_secs_f64();
        loaded.policy.map(|_| secs).ok_or("a bad policy")
    });
    let secs = loads.collect::<std::result::Result<Vec<_>, _>>()?;
    let least = secs.iter().copied().fold(f64::INFINITY, f64::min);
    let detail = format!("{} MB of YAML", policy.len() / 1_000_000);
    Ok(Measured::of(least, detail))
}

/// Peak resident memory of a process that has loaded 100,000 rules.
pub(crate) fn load_megabytes() -> Result<Measured> {
    let peak = |rules| Running::weir(&policies::of_rules(rules), &[])?.peak();
    let (one, many) = (peak(1)?, peak(RULES)?);
    let detail = format!(
        "the whole process at its peak; {} MB with 1 rule",
        one / 1_000_000
    );
    Ok(Measured::of(many as f64 / 1e6, detail))
}

/// Seconds that a server takes to start with a million counters on disk.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn restore_seconds() -> Result<Measured> {
    const COUNTERS: u64 = 1_000_000;
    // On a disk, which the folder for temporary files may not be.
    let folder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"))?;
    let folder = folder.path().to_str().ok_or("not UTF-8")?;
    let policy = policies::of_rules(1);
    let start = || Running::weir(&policy, &["--memory", "64G", "--state", folder]);
    let filled = start()?;
    let load = closed(&filled, &one_key(), Choice::Fresh, (COUNTERS, FOR_LONG));
    Run::of(&filled, &load)?;
    filled.terminate()?;
    let started = Instant::now();
    let restored = start()?;
    let secs = started.elapsed().as_secs_f64();
    let counters = restored.metric("weir_state_restored")?;
    let detail = format!("until it serves, with {counters} counters");
    Ok(Measured::of(secs, detail))
}
