//! The screen of `weir top` in terminals of several sizes.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::state::TopState;
use super::{TopError, TopSnapshot, has_domain, plain, view};
use crate::api::{Overview, Top};
use crate::client::AdminError;

fn overview() -> Overview {
    let limit = |text: &str| json!({"name": null, "text": text, "algorithm": "fixed_window", "shadow_mode": false});
    let rule = |id: u32, name: &str, text: &str, within: u32, over: u32| {
        json!({
            "id": id, "name": name, "levels": [], "limits": [limit(text)], "shadow_mode": false, "quota_mode": false,
            "file": "shop.yaml", "line": 3, "steps": [],
            "hits": {"within": within, "near": 0, "over": over, "shadow": 0},
        })
    };
    let domain = |name: &str, rules: serde_json::Value| {
        json!({
            "name": name, "shadow_mode": false, "quota_mode": false, "rules": rules, "steps": [[10, 0, 5, 0]],
            "decisions": {"ok": 10, "over_limit": 5, "shadow": 0},
        })
    };
    let overview = json!({
        "version": "0.1.0", "now_micros": 0, "stage": "serving", "generation": 3, "loaded_at_micros": null,
        "policy_origin": {"kind": "files"},
        "slots_in_use": {"2": 5},
        "store": {"counters": 4, "bytes": 2048, "pinned": 0, "evicted": 0, "evicted_over_limit": 0,
                  "redis": {"unavailable_reason": null}},
        "unknown_domains": [], "unmatched": [{"domain": "shop", "keys": ["nope", "more"], "descriptors": 7}],
        "rules": 2, "step_secs": 5.0, "max_steps": 180, "has_token": true,
        "last_load": {"generation": 3, "at_micros": 0, "error": null, "diagnostics": []},
        "domains": [
            domain("paperboat", json!([rule(1, "api_key", "60 per minute", 100, 20)])),
            domain("shop", json!([rule(2, "exports", "8 at once (lease 180 s)", 7, 90)])),
        ],
    });
    serde_json::from_value(overview).unwrap()
}

fn top() -> Top {
    let hitter = |client: String, hits: u32| json!({"client": client, "rule": "api_key", "hits": hits, "overcount": 0});
    let many = (0..60).map(|at| hitter(format!("api_key=k{at:02}"), 100 - at));
    let top = json!({"now_micros": 0, "domains": [
        {"name": "paperboat", "since_micros": 0, "requested": many.collect::<Vec<_>>(), "refused": [hitter("api_key=k07".into(), 20)]},
        {"name": "shop", "since_micros": 0, "requested": [], "refused": [hitter("account=\u{1b}[2J".into(), 90)]},
    ]});
    serde_json::from_value(top).unwrap()
}

fn state(domain: Option<&str>) -> TopState {
    let snapshot = TopSnapshot {
        overview: overview(),
        clients: Ok(top()),
    };
    TopState::new(snapshot, domain.map(str::to_owned))
}

fn press(state: &mut TopState, keys: &[KeyCode]) {
    for key in keys {
        state.press(KeyEvent::new(*key, KeyModifiers::NONE));
    }
}

/// The lines of a terminal of this size, without the blanks at their ends.
fn drawn(state: &mut TopState, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, state)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| {
        (0..width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

#[test]
fn a_small_terminal_has_the_most_refused_clients_of_all_domains() {
    let lines = drawn(&mut state(None), 40, 10);
    let expected = [
        "weir 0.1.0, serving, policy 3, 2 rules",
        "Redis is available; 4 counters in memory",
        "4.0/s ok, 2.0/s refused, 0.0/s shadow; n",
        " Clients  Rules   by refused",
        "  refused      hits client",
        "       90         - account=\\u{1b}[2J",
        "       20        93 api_key=k07",
        "        0       100 api_key=k00",
        "        0        99 api_key=k01",
        "q quit  Tab list  r/h/n sort  / filter",
    ];
    assert_eq!(lines[..9], expected[..9]);
    assert!(lines[9].starts_with(expected[9]), "{lines:?}");
}

#[test]
fn a_usual_terminal_has_rules_with_limits_and_slots() {
    let mut state = state(None);
    press(&mut state, &[KeyCode::Tab]);
    let lines = drawn(&mut state, 80, 24);
    assert_eq!(lines.len(), 24);
    assert!(
        lines[2].ends_with("; no rule for nope more in shop"),
        "{lines:?}"
    );
    let cells = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        cells(&lines[4]),
        ["refused", "hits", "slots", "rule", "limits"]
    );
    let slots = [
        "90", "97", "5", "exports", "8", "at", "once", "(lease", "180", "s)",
    ];
    assert_eq!(cells(&lines[5]), slots);
    assert_eq!(
        cells(&lines[6]),
        ["20", "120", "api_key", "60", "per", "minute"]
    );
    assert!(lines[7..23].iter().all(String::is_empty), "{lines:?}");
    assert!(lines[23].starts_with("q quit"));
}

#[test]
fn a_large_terminal_is_filled_and_scrolled() {
    let mut state = state(None);
    let lines = drawn(&mut state, 200, 50);
    assert!(
        lines[4].contains("domain") && lines[4].contains("rule"),
        "{lines:?}"
    );
    assert!(
        lines[5..49].iter().all(|line| !line.is_empty()),
        "{lines:?}"
    );
    press(&mut state, &[KeyCode::End]);
    let lines = drawn(&mut state, 200, 50);
    assert!(lines[48].contains("api_key=k59"), "{lines:?}");
    press(&mut state, &[KeyCode::Home]);
    assert!(drawn(&mut state, 200, 50)[5].contains("account="));
}

#[test]
fn rows_are_sorted_and_filtered_by_keys() {
    let mut state = state(None);
    let first = |state: &mut TopState| drawn(state, 80, 24)[5].clone();
    press(&mut state, &[KeyCode::Char('h')]);
    assert!(first(&mut state).contains("api_key=k00"));
    press(&mut state, &[KeyCode::Char('n')]);
    assert!(first(&mut state).contains("api_key=k00"));
    // Letters that are commands otherwise go to the filter.
    press(
        &mut state,
        &"/K0q".chars().map(KeyCode::Char).collect::<Vec<_>>(),
    );
    assert!(!state.is_done);
    let lines = drawn(&mut state, 80, 24);
    assert!(lines[3].ends_with("filter: K0q_"), "{lines:?}");
    assert_eq!(lines[5], "", "{lines:?}");
    press(
        &mut state,
        &[KeyCode::Backspace, KeyCode::Char('9'), KeyCode::Enter],
    );
    let lines = drawn(&mut state, 80, 24);
    assert!(
        lines[5].contains("api_key=k09") && lines[6].is_empty(),
        "{lines:?}"
    );
    press(&mut state, &[KeyCode::Esc, KeyCode::Char('r')]);
    assert!(first(&mut state).contains("account="));
    press(&mut state, &[KeyCode::Char('q')]);
    assert!(state.is_done);
}

#[test]
fn control_c_ends_it_even_while_typing() {
    let mut state = state(None);
    press(&mut state, &[KeyCode::Char('/'), KeyCode::Char('c')]);
    assert!(!state.is_done);
    state.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert!(state.is_done);
}

#[test]
fn an_outage_keeps_the_last_answer_until_the_next() {
    let refused = || {
        TopError::Admin(AdminError::Connect {
            address: "127.0.0.1:8080".to_owned(),
            source: std::io::ErrorKind::ConnectionRefused.into(),
        })
    };
    let mut state = state(None);
    state.update(Err(refused()));
    let lines = drawn(&mut state, 100, 24);
    let outage =
        "last seen; trying again: cannot connect to the admin server 127.0.0.1:8080 (--http):";
    assert!(lines[0].starts_with(outage), "{}", lines[0]);
    assert!(lines[5].contains("account="), "{lines:?}");
    state.update(Ok(TopSnapshot {
        overview: overview(),
        clients: Err(refused()),
    }));
    let lines = drawn(&mut state, 100, 24);
    assert!(lines[0].starts_with("weir 0.1.0"), "{lines:?}");
    assert!(
        lines[4].starts_with("no clients: cannot connect"),
        "{lines:?}"
    );
    press(&mut state, &[KeyCode::Tab]);
    assert!(drawn(&mut state, 100, 24)[5].contains("exports"));
}

#[test]
fn no_terminal_is_too_small() {
    for (width, height) in [(1, 1), (5, 3), (40, 2), (3, 40)] {
        assert_eq!(
            drawn(&mut state(None), width, height).len(),
            usize::from(height)
        );
    }
}

#[test]
fn one_domain_can_be_shown_and_an_unknown_one_is_named() {
    let lines = drawn(&mut state(Some("shop")), 80, 24);
    assert!(lines[3].ends_with("in shop"), "{lines:?}");
    assert!(
        lines[5].contains("account=") && lines[6].is_empty(),
        "{lines:?}"
    );
    assert!(has_domain(Some("shop"), &overview()).is_ok());
    let unknown = has_domain(Some("nosuch"), &overview()).unwrap_err();
    let expected = "the server has no domain `nosuch`; it has paperboat, shop";
    assert_eq!(unknown.to_string(), expected);
}

#[test]
fn the_text_ranks_over_all_domains_and_is_cut() {
    let text = plain::text(&overview(), &top(), None, 2);
    let expected = "\
weir 0.1.0, serving, policy 3, 2 rules
Redis is available; 4 counters in memory, 2.00 KiB

domain     ok/s  refused/s  shadow/s
paperboat   2.0        1.0       0.0
shop        2.0        1.0       0.0

refused  hits  slots  domain     client             rule
     90     -         shop       account=\\u{1b}[2J  api_key
     20    93         paperboat  api_key=k07        api_key

refused  hits  slots  domain     rule     limits
     90    97      5  shop       exports  8 at once (lease 180 s)
     20   120         paperboat  api_key  60 per minute
";
    assert_eq!(text, expected);
}
