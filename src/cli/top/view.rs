//! Draws the state into as many rows and columns as there are.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use super::plain;
use super::rank::{self, TopRow};
use super::state::{TopList, TopState};
use crate::cli::output::escape;
use crate::error_text::with_sources;

/// From this width on, rows have slots and details.
const WIDE: u16 = 60;
/// From this width on, they have the domain, too.
const WIDER: u16 = 100;

const ALARM: Style = Style::new().fg(Color::Red);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

pub(super) fn draw(frame: &mut Frame<'_>, state: &mut TopState) {
    let [head, list, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let lines = [server(state), store(state), traffic(state), choices(state)];
    frame.render_widget(Text::from_iter(lines), head);
    draw_list(frame, list, state);
    frame.render_widget(keys(state), foot);
}

/// The server, or why it does not answer.
fn server(state: &TopState) -> Line<'static> {
    match &state.outage {
        Some(error) => {
            let reason = escape(&with_sources(error));
            Line::styled(format!("last seen; trying again: {reason}"), ALARM)
        }
        None => Line::styled(plain::summary(&state.snapshot.overview), STRONG),
    }
}

fn store(state: &TopState) -> Line<'static> {
    let store = &state.snapshot.overview.status.store;
    let redis = store.redis.as_ref();
    let is_down = redis.is_some_and(|redis| redis.unavailable_reason.is_some());
    let style = if is_down { ALARM } else { Style::new() };
    Line::styled(plain::store(store), style)
}

/// Requests per second, and what calls for attention.
fn traffic(state: &TopState) -> Line<'static> {
    let overview = &state.snapshot.overview;
    let mut sum = [0.0; 3];
    for domain in rank::domains(overview, state.domain.as_deref()) {
        let last = domain.steps.last().copied().unwrap_or_default();
        let rates = plain::per_second(last, overview.step_secs);
        sum.iter_mut()
            .zip(rates)
            .for_each(|(sum, rate)| *sum += rate);
    }
    let [ok, refused, shadow] = sum;
    let mut line = Line::from(format!(
        "{ok:.1}/s ok, {refused:.1}/s refused, {shadow:.1}/s shadow"
    ));
    let status = &overview.status;
    if let Some(error) = &overview.last_load.error {
        let text = format!("; the last reload failed: {}", escape(error));
        line.push_span(Span::styled(text, ALARM));
    }
    if let Some(unknown) = status.unknown_domains.first() {
        let text = format!("; no policy for domain {}", escape(&unknown.name));
        line.push_span(Span::styled(text, ALARM));
    }
    if let Some(unmatched) = status.unmatched.first() {
        let keys = escape(&unmatched.keys.join(" "));
        line.push_span(format!(
            "; no rule for {keys} in {}",
            escape(&unmatched.domain)
        ));
    }
    line
}

/// The list, its order and the filter.
fn choices(state: &TopState) -> Line<'static> {
    let style = |list| {
        if state.list == list {
            REVERSED
        } else {
            Style::new()
        }
    };
    let mut line = Line::from_iter([
        Span::styled(" Clients ", style(TopList::Clients)),
        Span::styled(" Rules ", style(TopList::Rules)),
        Span::raw(format!("  by {}", state.order.as_str())),
    ]);
    if let Some(domain) = &state.domain {
        line.push_span(format!("  in {}", escape(domain)));
    }
    if state.is_typing || !state.filter.is_empty() {
        let cursor = if state.is_typing { "_" } else { "" };
        line.push_span(format!("  filter: {}{cursor}", escape(&state.filter)));
    }
    line
}

fn keys(state: &TopState) -> Line<'static> {
    Line::from(match state.is_typing {
        true => "type to filter  Enter keep  Esc clear",
        false => "q quit  Tab list  r/h/n sort  / filter  ↑↓ scroll",
    })
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, state: &mut TopState) {
    if let (TopList::Clients, Err(error)) = (state.list, &state.snapshot.clients) {
        let text = escape(&with_sources(error));
        let paragraph = Paragraph::new(format!("no clients: {text}")).wrap(Wrap { trim: true });
        frame.render_widget(paragraph, area);
        return;
    }
    let rows = state.rows();
    if rows.is_empty() {
        let text = match state.filter.is_empty() {
            true => "none yet",
            false => "nothing contains the filter; Esc clears it",
        };
        frame.render_widget(Line::from(text), area);
        return;
    }
    let columns = columns(state.list, area.width);
    let titles = columns
        .iter()
        .map(|column| cell(column.title(state.list), *column));
    let header = Row::new(titles).style(STRONG);
    let lines = rows.iter().map(|row| {
        let line = Row::new(columns.iter().map(|column| cell(&column.of(row), *column)));
        line.style(if row.refused > 0 { ALARM } else { Style::new() })
    });
    let table = Table::new(lines, columns.iter().map(|column| column.width()));
    let table = table.header(header).row_highlight_style(REVERSED);
    frame.render_stateful_widget(table, area, &mut state.table);
}

/// A column of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TopColumn {
    Refused,
    Hits,
    Slots,
    Domain,
    Name,
    Detail,
}

/// The columns that fit.
fn columns(list: TopList, width: u16) -> Vec<TopColumn> {
    use TopColumn::{Detail, Domain, Hits, Name, Refused, Slots};
    let mut columns = vec![Refused, Hits];
    if list == TopList::Rules && width >= WIDE {
        columns.push(Slots);
    }
    if width >= WIDER {
        columns.push(Domain);
    }
    columns.push(Name);
    if width >= WIDE {
        columns.push(Detail);
    }
    columns
}

impl TopColumn {
    const fn title(self, list: TopList) -> &'static str {
        match (self, list) {
            (Self::Refused, _) => "refused",
            (Self::Hits, _) => "hits",
            (Self::Slots, _) => "slots",
            (Self::Domain, _) => "domain",
            (Self::Name, TopList::Clients) => "client",
            (Self::Name, TopList::Rules) | (Self::Detail, TopList::Clients) => "rule",
            (Self::Detail, TopList::Rules) => "limits",
        }
    }

    fn of(self, row: &TopRow) -> String {
        match self {
            Self::Refused => row.refused_text(),
            Self::Hits => row.hits_text(),
            Self::Slots => row
                .slots
                .map_or_else(String::new, |slots| slots.to_string()),
            Self::Domain => escape(&row.domain),
            Self::Name => escape(&row.name),
            Self::Detail => escape(&row.detail),
        }
    }

    const fn width(self) -> Constraint {
        match self {
            Self::Refused | Self::Hits => Constraint::Length(9),
            Self::Slots => Constraint::Length(6),
            Self::Domain => Constraint::Max(20),
            Self::Name | Self::Detail => Constraint::Fill(1),
        }
    }

    const fn alignment(self) -> Alignment {
        match self {
            Self::Refused | Self::Hits | Self::Slots => Alignment::Right,
            Self::Domain | Self::Name | Self::Detail => Alignment::Left,
        }
    }
}

fn cell(text: &str, column: TopColumn) -> Cell<'static> {
    Cell::from(Line::from(text.to_owned()).alignment(column.alignment()))
}
