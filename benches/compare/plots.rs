//! Throughput against the number of rules, and of keys: the plots of `docs/performance.md`.

use std::path::Path;

use crate::keys::Choice;
use crate::policies;
use crate::svg::{Line, Plot};
use crate::throughput::{self, one_key};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures all points and writes the files.
pub(crate) fn draw() -> Result<()> {
    let rules = points(&[1, 10, 100, 1_000, 10_000, 100_000], |rules| {
        throughput::pairs(&policies::of_rules(rules), &one_key(), Choice::One)
    })?;
    write("throughput-by-rules", "rules", rules)?;
    let keys = points(&[1, 100, 10_000, 100_000, 1_000_000], |keys| {
        throughput::pairs(&policies::of_rules(1), &one_key(), Choice::Uniform(keys))
    })?;
    write("throughput-by-keys", "live keys", keys)
}

/// For each number the answers a second of weir and of the service that does nothing.
fn points(
    numbers: &[u64],
    measure: impl Fn(u64) -> Result<crate::pairs::Pairs>,
) -> Result<[Vec<(f64, f64)>; 2]> {
    let mut lines = [Vec::new(), Vec::new()];
    for &number in numbers {
        let (weir, nothing) = measure(number)?.rates();
        println!("{number}: {weir:.0} / {nothing:.0} a second");
        lines[0].push((number as f64, weir));
        lines[1].push((number as f64, nothing));
    }
    Ok(lines)
}

fn write(name: &str, x: &'static str, [weir, nothing]: [Vec<(f64, f64)>; 2]) -> Result<()> {
    let plot = Plot {
        x,
        y: "answers a second",
        lines: vec![
            Line {
                name: "weir",
                points: weir,
            },
            Line {
                name: "does nothing",
                points: nothing,
            },
        ],
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/performance/{name}.svg"));
    std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    std::fs::write(&path, plot.to_string())?;
    println!("{}", path.display());
    Ok(())
}
