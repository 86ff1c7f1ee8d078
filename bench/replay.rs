//! The speed of `weir replay`.
//!
//! `cargo bench -p weir-bench --bench replay` writes an access log of a million lines and replays it with one policy,
//! and with two.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use weir::policy::{self, Policy};
use weir::replay::{DescriptorTemplate, Mapping, RecordFormat, Replay, TimeField, read_ahead};
use weir::store::MemoryConfig;

const LINES: u64 = 1_000_000;
const CLIENTS: u64 = 50_000;
const PER_SECOND: u64 = 2_000;

const POLICY: &str = "
domain: shop
descriptors:
  - {key: api_key, secret: true, rate_limit: {unit: minute, requests_per_unit: 3, algorithm: sliding_window}}
  - {key: endpoint, pattern: 'POST /v1/orders/{order}', count_by: [order], rate_limit: {unit: hour, requests_per_unit: 100}}
";

// The same allocator as in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("access.log");
    write_log(&log)?;
    let bytes = log.metadata()?.len();
    println!(
        "{LINES} lines, {} MB, on {} cores",
        bytes / 1_000_000,
        thread::available_parallelism()?
    );
    println!(
        "{:<14} {:>8} {:>12} {:>9}",
        "", "seconds", "lines/s", "refused"
    );
    for (name, against) in [("one policy", None), ("two policies", Some(load()?))] {
        let (took, refused) = replay(&log, against)?;
        let per_second = LINES as f64 / took.as_secs_f64();
        let secs = took.as_secs_f64();
        println!("{name:<14} {secs:>8.2} {per_second:>12.0} {refused:>9}");
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn load() -> Result<Policy, &'static str> {
    let loaded = policy::load_text(Path::new("shop.yaml"), POLICY);
    loaded.policy.ok_or("the policy has errors")
}

fn write_log(path: &Path) -> std::io::Result<()> {
    let mut log = BufWriter::new(File::create(path)?);
    let mut random = 1_u64;
    for line in 0..LINES {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let client = (random >> 33) % CLIENTS;
        let (second, millis) = (line / PER_SECOND, line % PER_SECOND / 2);
        let (minute, second) = (second / 60, second % 60);
        writeln!(
            log,
            "{{\"start_time\":\"2026-11-22T10:{minute:02}:{second:02}.{millis:03}Z\",\"method\":\"POST\",\
             \"path\":\"/v1/orders/{}\",\"authorization\":\"Bearer sk_live_{client:08}\",\"protocol\":\"HTTP/2\",\
             \"response_code\":200,\"bytes_sent\":1234,\"duration\":12,\"user_agent\":\"bench/1.0\",\
             \"upstream_host\":\"10.0.0.7:8080\"}}",
            client % 20_000
        )?;
    }
    log.flush()
}

fn replay(
    log: &Path,
    against: Option<Policy>,
) -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    let descriptors = vec![
        DescriptorTemplate::new([("api_key", "{authorization}")])?,
        DescriptorTemplate::new([("endpoint", "{method} {path}")])?,
    ];
    let format = RecordFormat::AccessLog(Mapping::new(
        "shop".to_owned(),
        descriptors,
        TimeField::Usual,
    ));
    let mut replay = Replay::new(load()?, against, MemoryConfig::default())?;
    let log = BufReader::with_capacity(1 << 18, File::open(log)?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let start = now();
    runtime.block_on(async {
        for batch in read_ahead(log, format, 1024)? {
            for (number, outcome) in batch?.lines {
                if let Some(record) = outcome? {
                    replay.push(&record, number).await;
                }
            }
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    Ok((start.elapsed(), replay.report().policy.refused))
}
