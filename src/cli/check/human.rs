//! Diagnostics as text in the style of rustc: the line, a marker, and help.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Summary, excerpts_of};
use crate::policy::{Diagnostic, Excerpt, LoadedPolicy, Severity};

pub(super) fn render(loaded: &LoadedPolicy, summary: &Summary, renderer: &Renderer) -> String {
    let excerpts = excerpts_of(loaded);
    let mut text = String::new();
    for (diagnostic, excerpt) in loaded.diagnostics.iter().zip(&excerpts) {
        let rendered = renderer.render(&[group(diagnostic, excerpt.as_ref())]);
        text.push_str(rendered.trim_end());
        text.push_str("\n\n");
    }
    format!("{text}{summary}\n")
}

fn group<'d>(diagnostic: &'d Diagnostic, excerpt: Option<&'d Excerpt>) -> Group<'d> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&*diagnostic.message);
    let mut group = Group::with_title(title.id(diagnostic.code.as_str()));
    let file = diagnostic.file.to_string_lossy();
    group = match (diagnostic.position, excerpt) {
        (Some(position), Some(excerpt)) => {
            let end = excerpt.end_column;
            let span = offset(&excerpt.line, position.column)..offset(&excerpt.line, end);
            let snippet = Snippet::source(&*excerpt.line)
                .path(file)
                .line_start(position.line as usize)
                .annotation(AnnotationKind::Primary.span(span));
            group.element(snippet)
        }
        (Some(position), None) => {
            let position = format!("{file}:{}:{}", position.line, position.column);
            group.element(Origin::path(position))
        }
        (None, _) => group.element(Origin::path(file)),
    };
    if !diagnostic.path.is_empty() {
        group = group.element(Level::NOTE.message(format!("at {}", diagnostic.path)));
    }
    group.element(Level::HELP.message(&*diagnostic.help))
}

/// The byte offset of a column.
fn offset(line: &str, column: u32) -> usize {
    let mut starts = line.char_indices().map(|(at, _)| at);
    starts
        .nth(column.saturating_sub(1) as usize)
        .unwrap_or(line.len())
}
