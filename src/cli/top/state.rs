//! What the screen shows, and what keys do to it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;

use super::rank::{self, TopOrder, TopRow};
use super::{TopError, TopSnapshot};

/// Rows that a page key moves by.
const PAGE: u16 = 10;

/// What the rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TopList {
    #[default]
    Clients,
    Rules,
}

/// The state of the screen.
#[derive(Debug)]
pub(super) struct TopState {
    /// The last answer of the server.
    pub(super) snapshot: TopSnapshot,
    /// Why the server has not answered since.
    pub(super) outage: Option<TopError>,
    /// The only domain that is shown.
    pub(super) domain: Option<String>,
    pub(super) list: TopList,
    pub(super) order: TopOrder,
    pub(super) filter: String,
    /// Letters go to the filter.
    pub(super) is_typing: bool,
    pub(super) is_done: bool,
    /// The selected row, and how far the list is scrolled.
    pub(super) table: TableState,
}

impl TopState {
    pub(super) fn new(snapshot: TopSnapshot, domain: Option<String>) -> Self {
        Self {
            snapshot,
            outage: None,
            domain,
            list: TopList::default(),
            order: TopOrder::default(),
            filter: String::new(),
            is_typing: false,
            is_done: false,
            table: TableState::new().with_selected(0),
        }
    }

    /// Takes the next answer of the server. Without one, the last is still shown.
    pub(super) fn update(&mut self, answer: Result<TopSnapshot, TopError>) {
        match answer {
            Ok(snapshot) => {
                self.snapshot = snapshot;
                self.outage = None;
            }
            Err(error) => self.outage = Some(error),
        }
    }

    pub(super) fn press(&mut self, key: KeyEvent) {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            self.is_done |= key.code == KeyCode::Char('c');
            return;
        }
        match key.code {
            KeyCode::Up => self.table.select_previous(),
            KeyCode::Down => self.table.select_next(),
            KeyCode::PageUp => self.table.scroll_up_by(PAGE),
            KeyCode::PageDown => self.table.scroll_down_by(PAGE),
            KeyCode::Home => self.table.select_first(),
            KeyCode::End => self.table.select_last(),
            KeyCode::Tab | KeyCode::BackTab => self.switch_list(),
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace if self.is_typing => {
                self.filter.pop();
            }
            KeyCode::Char(letter) if self.is_typing => {
                self.filter.push(letter);
                self.table.select_first();
            }
            KeyCode::Char(letter) => self.command(letter),
            _ => {}
        }
    }

    fn command(&mut self, letter: char) {
        match letter {
            'q' => self.is_done = true,
            '/' => self.is_typing = true,
            'r' => self.order = TopOrder::Refused,
            'h' => self.order = TopOrder::Hits,
            'n' => self.order = TopOrder::Name,
            'k' => self.table.select_previous(),
            'j' => self.table.select_next(),
            _ => {}
        }
    }

    fn switch_list(&mut self) {
        self.list = match self.list {
            TopList::Clients => TopList::Rules,
            TopList::Rules => TopList::Clients,
        };
        self.table.select_first();
    }

    /// The rows to show, in order.
    pub(super) fn rows(&self) -> Vec<TopRow> {
        let domain = self.domain.as_deref();
        let rows = match (self.list, &self.snapshot.clients) {
            (TopList::Rules, _) => rank::rules(&self.snapshot.overview, domain),
            (TopList::Clients, Ok(top)) => rank::clients(top, domain),
            (TopList::Clients, Err(_)) => Vec::new(),
        };
        rank::ranked(rows, self.order, &self.filter)
    }
}
