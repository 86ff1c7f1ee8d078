//! A plot as SVG, readable on light and on dark backgrounds.

use std::fmt;

/// Lines with a logarithmic x axis and a y axis that begins at 0.
pub(crate) struct Plot {
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// One line.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 120.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 50.0;
const TICKS: u32 = 4;

const STYLE: &str = "text { font: 13px system-ui, sans-serif; fill: #1f2328 } .grid { stroke: #d0d7de } \
    polyline { fill: none; stroke-width: 2.5 } .line0 { stroke: #0969da; fill: #0969da } .line1 { stroke: #8c959f; fill: #8c959f } \
    polyline.line0, polyline.line1 { fill: none } text.line0, text.line1 { stroke: none } \
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #30363d } .line0 { stroke: #58a6ff; fill: #58a6ff } }";

impl Plot {
    fn all(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lines
            .iter()
            .flat_map(|line| line.points.iter().copied())
    }

    fn place(&self, (x, y): (f64, f64), top: f64) -> (f64, f64) {
        let (least, most) = self
            .all()
            .fold((f64::INFINITY, 1.0_f64), |(least, most), (x, _)| {
                (least.min(x), most.max(x))
            });
        let along = (x / least).log10() / (most / least).log10().max(1.0);
        (
            LEFT + along * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM),
        )
    }
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let highest = self.all().map(|(_, y)| y).fold(1.0, f64::max);
        let unit = 10_f64.powf(highest.log10().floor()) / 2.0;
        let step = (highest / f64::from(TICKS) / unit).ceil() * unit;
        let top = step * f64::from(TICKS);
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{} by {}">"#,
            self.y, self.x
        )?;
        writeln!(f, "<style>{STYLE}</style>")?;
        writeln!(f, r#"<text x="{}" y="20">{}</text>"#, LEFT - 56.0, self.y)?;
        for tick in 0..=TICKS {
            let value = step * f64::from(tick);
            let y = HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
            let right = WIDTH - RIGHT;
            writeln!(
                f,
                r#"<line class="grid" x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/>"#
            )?;
            let (x, y) = (LEFT - 8.0, y + 4.0);
            writeln!(
                f,
                r#"<text x="{x}" y="{y:.1}" text-anchor="end">{}</text>"#,
                short(value)
            )?;
        }
        for &(value, _) in self.lines.first().map_or(&[][..], |line| &line.points) {
            let (x, y) = (self.place((value, 0.0), top).0, HEIGHT - BOTTOM + 20.0);
            writeln!(
                f,
                r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{}</text>"#,
                short(value)
            )?;
        }
        let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10.0);
        writeln!(
            f,
            r#"<text x="{x}" y="{y}" text-anchor="middle">{}</text>"#,
            self.x
        )?;
        let ends = self
            .lines
            .iter()
            .filter_map(|line| Some(self.place(*line.points.last()?, top).1));
        for (index, line) in self.lines.iter().enumerate() {
            let places: Vec<_> = line
                .points
                .iter()
                .map(|&point| self.place(point, top))
                .collect();
            let path: Vec<_> = places
                .iter()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            writeln!(
                f,
                r#"<polyline class="line{index}" points="{}"/>"#,
                path.join(" ")
            )?;
            for (x, y) in &places {
                writeln!(
                    f,
                    r#"<circle class="line{index}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#
                )?;
            }
            if let Some((x, y)) = places.last() {
                // Lines may end close to each other: the highest has its name above, the others below.
                let is_highest = ends.clone().all(|end| end >= *y);
                let (x, y) = (x + 10.0, y + if is_highest { -4.0 } else { 14.0 });
                writeln!(
                    f,
                    r#"<text class="line{index}" x="{x:.1}" y="{y:.1}">{}</text>"#,
                    line.name
                )?;
            }
        }
        writeln!(f, "</svg>")
    }
}

/// A number as the label of an axis.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{} M", n / 1e6),
        n if n >= 1e3 => format!("{} k", n / 1e3),
        n => n.to_string(),
    }
}
