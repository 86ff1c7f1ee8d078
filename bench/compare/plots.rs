//! Throughput by the number of rules and by the number of keys: the plots of `docs/performance.md`.

use std::path::Path;

use crate::keys::Choice;
use crate::policies;
use crate::svg::{Line, Plot};
use crate::throughput::{self, one_key};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Pairs per point.
const PAIRS: usize = 5;

/// Measures and writes the plot by rules, by keys, or both.
pub(crate) fn draw(wanted: &[String]) -> Result<()> {
    let is_wanted = |name| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if is_wanted("rules") {
        let rules = points(&[1, 10, 100, 1_000, 10_000, 100_000], |rules| {
            let policy = policies::of_rules(rules);
            throughput::some_pairs(PAIRS, &policy, &one_key(), Choice::One)
        })?;
        write("throughput-by-rules", "rules", rules)?;
    }
    if is_wanted("keys") {
        let policy = policies::of_rules(1);
        let keys = points(&[1, 100, 10_000, 100_000, 1_000_000], |keys| {
            throughput::some_pairs(PAIRS, &policy, &one_key(), Choice::Uniform(keys))
        })?;
        write("throughput-by-keys", "live keys", keys)?;
    }
    Ok(())
}

/// For each number the answers per second of weir and of the no-op service.
fn points(
    numbers: &[u64],
    measure: impl Fn(u64) -> Result<crate::pairs::Pairs>,
) -> Result<[Vec<(f64, f64)>; 2]> {
    let mut lines = [Vec::new(), Vec::new()];
    for &number in numbers {
        let (weir, noop) = measure(number)?.rates();
        println!("{number}: {weir:.0} / {noop:.0} per second");
        lines[0].push((number as f64, weir));
        lines[1].push((number as f64, noop));
    }
    Ok(lines)
}

fn write(name: &str, x: &'static str, [weir, noop]: [Vec<(f64, f64)>; 2]) -> Result<()> {
    let plot = Plot {
        x,
        y: "answers per second",
        lines: vec![
            Line {
                name: "weir",
                points: weir,
            },
            Line {
                name: "no-op",
                points: noop,
            },
        ],
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("docs")
        .join(format!("performance/{name}.svg"));
    std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    std::fs::write(&path, plot.to_string())?;
    println!("{}", path.display());
    Ok(())
}
