//! Diagnostics for people: the line, what is meant in it, and a way out, as rustc has them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::Summary;
use crate::policy::{Diagnostic, Excerpt, Loaded, Place, Severity, excerpts};

pub(super) fn write(
    loaded: &Loaded,
    summary: &Summary,
    renderer: &Renderer,
    out: &mut impl Write,
) -> io::Result<()> {
    let shown = shown(loaded);
    for (diagnostic, excerpt) in loaded.diagnostics.iter().zip(&shown) {
        let rendered = renderer.render(&[group(diagnostic, excerpt.as_ref())]);
        writeln!(out, "{}\n", rendered.trim_end())?;
    }
    writeln!(out, "{summary}")
}

/// The line of each diagnostic.
pub(super) fn shown(loaded: &Loaded) -> Vec<Option<Excerpt>> {
    let mut places: HashMap<&Path, Vec<Place>> = HashMap::new();
    for diagnostic in &loaded.diagnostics {
        let of_file = places.entry(&diagnostic.file).or_default();
        of_file.extend(diagnostic.place);
    }
    let found = places.into_iter().map(|(file, places)| {
        let text = loaded.texts.get(file).map_or("", String::as_str);
        (file, excerpts(text, &places).into_iter())
    });
    let mut found: HashMap<&Path, _> = found.collect();
    let next = |diagnostic: &Diagnostic| {
        diagnostic.place?;
        found.get_mut(&*diagnostic.file)?.next()?
    };
    loaded.diagnostics.iter().map(next).collect()
}

fn group<'d>(diagnostic: &'d Diagnostic, excerpt: Option<&'d Excerpt>) -> Group<'d> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&*diagnostic.message);
    let mut group = Group::with_title(title.id(diagnostic.code.as_str()));
    let file = diagnostic.file.to_string_lossy();
    group = match (diagnostic.place, excerpt) {
        (Some(place), Some(excerpt)) => {
            let end = excerpt.end_column;
            let span = offset(&excerpt.line, place.column)..offset(&excerpt.line, end);
            let snippet = Snippet::source(&*excerpt.line)
                .path(file)
                .line_start(place.line as usize)
                .annotation(AnnotationKind::Primary.span(span));
            group.element(snippet)
        }
        (Some(place), None) => {
            let place = format!("{file}:{}:{}", place.line, place.column);
            group.element(Origin::path(place))
        }
        (None, _) => group.element(Origin::path(file)),
    };
    if !diagnostic.path.is_empty() {
        group = group.element(Level::NOTE.message(format!("at {}", diagnostic.path)));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(&**hint));
    }
    group
}

/// Where a column begins, in bytes.
fn offset(line: &str, column: u32) -> usize {
    let mut starts = line.char_indices().map(|(at, _)| at);
    starts
        .nth(column.saturating_sub(1) as usize)
        .unwrap_or(line.len())
}
