//! Tables from files, and rows that are added.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::clock::Timestamp;
use crate::policy::{Limits, LoadOptions, LoadedPolicy, Policy, PolicyCode, load, load_text};

const POLICY: &str = "
domain: shop
plans:
  standard:
    rate_limit:
      - {unit: minute, requests_per_unit: 600, algorithm: token_bucket, burst: 900, name: per_minute}
      - {unit: day, requests_per_unit: 10000}
  scale: {rate_limit: {unit: minute, requests_per_unit: 6000}}
descriptors:
  - {key: api_key, plan: standard, assignments: customers}
  - {key: tenant, plan: scale, assignments: customers}
";

fn loaded(tables: &[(&str, &str)], now: Option<Timestamp>) -> LoadedPolicy {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop.yaml"), POLICY).unwrap();
    for (name, text) in tables {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let options = LoadOptions {
        now,
        ..LoadOptions::default()
    };
    load(&[folder.path().to_owned()], options).unwrap()
}

/// The findings: file, line and column, code, message.
fn findings(tables: &[(&str, &str)], now: Option<Timestamp>) -> Vec<String> {
    let loaded = loaded(tables, now);
    let found = loaded.diagnostics.iter().map(|found| {
        let file = found.file.file_name().unwrap().to_string_lossy();
        let at = found
            .position
            .map_or("-".to_owned(), |at| format!("{}:{}", at.line, at.column));
        format!("{file}:{at} {} {}", found.code, found.message)
    });
    found.collect()
}

/// The limits of a value of the first rule at a second.
fn limits_at(policy: &Policy, rule: usize, value: &str, secs: u64) -> String {
    let domain = policy.domain(b"shop").unwrap();
    let rule = &domain.rules()[rule];
    let now = Timestamp::from_secs(secs);
    let found = policy.assignment(domain, rule, value.as_bytes(), now);
    found
        .map_or(&rule.limits, |found| &found.terms.limits)
        .to_string()
}

const STANDARD: &str = "600 per minute, burst 900; 10000 per day";

#[test]
fn rows_of_both_formats_give_plans_and_limits() {
    // The SHA-256 of "c".
    let csv = "\
# customers of the sales team
value,plan,rate_limit,until,note,author
a,scale,,1970-01-01T01:00:00Z,\"bigger, for an hour\",ann

b,,1200 per minute,,,
";
    let json = r#"{"sha256": "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6", "plan": "scale"}

{"value": "d", "rate_limit": [{"unit": "hour", "requests_per_unit": 5, "algorithm": "sliding_window"}, {"unit": "day", "requests_per_unit": 50}], "note": "own"}
"#;
    let loaded = loaded(
        &[
            ("customers.assignments.csv", csv),
            ("customers.assignments.jsonl", json),
        ],
        Some(Timestamp::from_secs(3_599)),
    );
    assert_eq!(loaded.diagnostics, []);
    let policy = loaded.policy.unwrap();
    for (value, secs, expected) in [
        ("a", 0, "6000 per minute"),
        ("a", 3_599, "6000 per minute"),
        ("a", 3_600, STANDARD),
        ("b", 0, "1200 per minute, burst 1800; 10000 per day"),
        ("c", u64::MAX / 2_000_000, "6000 per minute"),
        ("d", 0, "5 per hour; 50 per day"),
        ("e", 0, STANDARD),
        ("", 0, STANDARD),
    ] {
        assert_eq!(
            limits_at(&policy, 0, value, secs),
            expected,
            "{value} {secs}"
        );
    }
    assert_eq!(limits_at(&policy, 1, "b", 0), "1200 per minute");
    let domain = policy.domain(b"shop").unwrap();
    let row = policy.assignment(domain, &domain.rules()[0], b"a", Timestamp::from_secs(0));
    let row = row.unwrap();
    assert_eq!(row.note(), "bigger, for an hour");
    assert_eq!(row.author(), Some("ann"));
    assert_eq!(row.until(), Some(Timestamp::from_secs(3_600)));
    let AssignmentOrigin::File(file, line) = row.origin() else {
        panic!("{row:?}");
    };
    assert_eq!(
        (file.file_name().unwrap().to_str(), line),
        (Some("customers.assignments.csv"), 3)
    );
    assert_eq!(row.terms.plan.as_deref(), Some("scale"));
    let row = policy.assignment(domain, &domain.rules()[0], b"b", Timestamp::from_secs(0));
    assert_eq!(row.unwrap().note(), "");
}

#[test]
fn faults_have_a_position_and_never_a_value() {
    let csv = "\
value,sha256,plan,rate_limit,until,note
a,,scael,,,
\"a\",,scale,,,
,abc,scale,,,
b,,,,,
c,2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6,scale,,,
d,,scale,5 per day,,
e,,scale,,tomorrow,
f,,,5 per hour,,
g,,,{unit: day},,
h,,scale
\"i
i\",,standrad,,,
j,,,lots,,
,2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6,scale,,,
c,,scale,,2000-01-01T00:00:00Z,
";
    let found = findings(
        &[("customers.assignments.csv", csv)],
        Some(Timestamp::from_secs(2_000_000_000)),
    );
    let expected = [
        "2:4 invalid-assignment no plan is named `scael`",
        "3:1 duplicate-assignment a second row for one value, first on line 2",
        "4:2 invalid-hash `sha256` must be a SHA-256 in hex: 64 digits",
        "5:4 invalid-assignment a row without a plan",
        "6:3 invalid-assignment a row with both `value` and `sha256`",
        "7:10 invalid-assignment a row with both `plan` and `rate_limit`",
        "8:11 invalid-assignment `until` must be a time in RFC 3339",
        "9:5 invalid-assignment no limit of api_key is per hour",
        "9:5 invalid-assignment no limit of tenant is per hour",
        "11:1 invalid-assignment the row has 3 fields, and the header 6",
        "13:5 invalid-assignment no plan is named `standrad`",
        "14:5 invalid-assignment `rate_limit` is not a limit",
        "16:1 duplicate-assignment a second row for one value, first on line 15",
        "16:11 ended-assignment the row has ended: its `until` is in the past",
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|found| format!("customers.assignments.csv:{found}"))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn lines_in_json_are_checked_as_well() {
    let json = r#"{"value": "a", "plan": "scale"
{"valeu": "a", "plan": "scale"}
{"value": 5, "plan": "scale"}
{"value": "b", "plan": "scale", "until": "soon"}
[]
{"value": "c", "value": "d", "plan": "scale"}
"#;
    let found = findings(&[("customers.assignments.jsonl", json)], None);
    let expected = [
        "1:30 invalid-assignment the line is not an object in JSON",
        "2:2 invalid-assignment unknown key `valeu`",
        "3:2 invalid-assignment `value` must be text",
        "4:33 invalid-assignment `until` must be a time in RFC 3339",
        "5:1 invalid-assignment the line is not an object in JSON",
        "6:22 invalid-assignment a key is repeated",
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|found| format!("customers.assignments.jsonl:{found}"))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn tables_next_to_a_policy_that_is_loaded_alone_may_be_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let yaml =
        "domain: shop\ndescriptors:\n- {key: k, rate_limit: {unit: day, requests_per_unit: 1}}\n";
    let policy = write("shop.yaml", yaml);
    write("others.assignments.csv", "value,plan\n");
    let unused = |path: PathBuf| {
        let loaded = load(&[path], LoadOptions::default()).unwrap();
        let found = loaded.diagnostics.iter();
        found
            .filter(|found| found.code == PolicyCode::UnusedTable)
            .count()
    };
    assert_eq!(unused(policy), 0);
    assert_eq!(unused(folder.path().to_owned()), 1);
}

#[test]
fn a_table_needs_a_file_and_a_file_a_descriptor() {
    let found = findings(&[("custmers.assignments.csv", "value,plan\n")], None);
    assert_eq!(
        found,
        [
            "custmers.assignments.csv:- unused-table no descriptor has this table",
            "shop.yaml:10:49 unknown-table the table `customers` has no file",
            "shop.yaml:11:45 unknown-table the table `customers` has no file",
        ]
    );
    let found = load_text(Path::new("shop.yaml"), POLICY);
    assert!(found.policy.is_none());
    for (header, expected) in [
        ("", "- invalid-assignment the file has no header"),
        (
            "value,plna",
            "1:7 invalid-assignment no column has this name",
        ),
        (
            "value,plan,value",
            "1:12 invalid-assignment the column `value` is repeated",
        ),
    ] {
        let found = findings(&[("customers.assignments.csv", header)], None);
        assert_eq!(found, [format!("customers.assignments.csv:{expected}")]);
    }
}

fn added(value: &str, plan: Option<&str>, limit: Option<&str>) -> AddedAssignment {
    AddedAssignment {
        id: AssignmentId::of_value("shop", "customers", value.as_bytes()),
        fields: AssignmentFields {
            plan: plan.map(str::to_owned),
            rate_limit: limit.map(str::to_owned),
            until: Some(Timestamp::from_secs(100)),
            ..AssignmentFields::default()
        },
    }
}

#[test]
fn added_rows_precede_those_of_files_until_they_end() {
    let csv = "value,plan\na,scale\n";
    let loaded = loaded(&[("customers.assignments.csv", csv)], None);
    let policy = loaded.policy.unwrap();
    let rows = [
        added("a", None, Some("1 per minute")),
        added("b", Some("scale"), None),
        added("c", Some("gone"), None),
    ];
    let (with, faults) = policy.with_assignments(&rows);
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0]
            .to_string()
            .starts_with("no plan is named `gone`; "),
        "{faults:?}"
    );
    let lower = "1 per minute; 10000 per day";
    for (value, secs, expected) in [
        ("a", 99, lower),
        ("a", 100, "6000 per minute"),
        ("b", 99, "6000 per minute"),
        ("b", 100, STANDARD),
        ("c", 99, STANDARD),
    ] {
        assert_eq!(limits_at(&with, 0, value, secs), expected, "{value} {secs}");
        let without = if value == "a" {
            "6000 per minute"
        } else {
            STANDARD
        };
        assert_eq!(limits_at(&policy, 0, value, secs), without, "{value}");
    }
    // Domains are shared, not copied.
    assert!(std::ptr::eq(
        policy.domain(b"shop").unwrap(),
        with.domain(b"shop").unwrap()
    ));
    let (none, faults) = with.with_assignments(&[]);
    assert_eq!(faults, []);
    assert_eq!(limits_at(&none, 0, "b", 0), STANDARD);
}

#[test]
fn rows_that_cannot_be_used_are_explained() {
    let csv = "value,plan\n";
    let loaded = loaded(&[("customers.assignments.csv", csv)], None);
    let policy = loaded.policy.unwrap();
    let mut other_domain = added("a", Some("scale"), None);
    other_domain.id.domain = "shpo".to_owned();
    let mut other_table = added("a", Some("scale"), None);
    other_table.id.table = "customer".to_owned();
    for (row, expected) in [
        (
            added("a", Some("scael"), None),
            "no plan is named `scael`; did you mean `scale`?",
        ),
        (
            other_domain,
            "no domain is named `shpo`; did you mean `shop`?",
        ),
        (
            other_table,
            "no table is named `customer`; did you mean `customers`?",
        ),
        (
            added("a", None, None),
            "a row without a plan; name a plan as `plan`, or write limits as `rate_limit`",
        ),
        (
            added(
                "a",
                None,
                Some("{unit: minute, requests_per_unit: 5, brust: 6}"),
            ),
            "unknown key `brust`; did you mean `burst`?",
        ),
        (
            added(
                "a",
                None,
                Some("{algorithm: concurrency, max_in_flight: 5, lease_seconds: 60}"),
            ),
            "`algorithm: concurrency` in a domain whose policy has no such limit; write the limits as a plan of the policy",
        ),
    ] {
        let fault = policy.check_assignment(&row).unwrap_err();
        assert_eq!(fault.to_string(), expected);
    }
    assert_eq!(
        policy.check_assignment(&added("a", None, Some("{unlimited: true}"))),
        Ok(())
    );
}

#[test]
fn a_large_table_is_compact() {
    const ROWS: usize = 20_000;
    let mut csv = "value,plan,until,note\n".to_owned();
    for row in 0..ROWS {
        csv.push_str(&format!(
            "customer-{row},scale,2030-01-01T00:00:00Z,ticket {row}\n"
        ));
    }
    let loaded = loaded(&[("customers.assignments.csv", &csv)], None);
    let policy = loaded.policy.unwrap();
    let domain = policy.domain(b"shop").unwrap();
    let bytes = domain.assigned.heap_bytes();
    assert!(bytes <= 100 * ROWS, "{} a row", bytes / ROWS);
    for row in [0, 1, ROWS - 1] {
        assert_eq!(
            limits_at(&policy, 0, &format!("customer-{row}"), 0),
            "6000 per minute"
        );
    }
    assert_eq!(limits_at(&policy, 0, "customer", 0), STANDARD);
    assert!(matches!(domain.rules()[0].limits, Limits::Counted(_)));
}
