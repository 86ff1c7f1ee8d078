//! `weir import limitador`: what it prints is a policy that decides as the limits did.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::binary::{stderr, stdout, weir};

const LIMITS: &str = "---
- namespace: shop
  max_value: 10
  seconds: 60
  conditions:
    - \"descriptors[0]['req.method'] == 'GET'\"
    - \"descriptors[0]['req.path'] != '/json'\"
  variables: []
- namespace: shop
  max_value: 50000
  seconds: 10
  conditions: [\"descriptors[0]['req.method'] == 'GET' && descriptors[0]['req.path'] == '/json'\"]
- namespace: shop
  max_value: 5
  seconds: 7200
  name: per user
  conditions: [req.method == 'POST']
  variables: [\"descriptors[0]['user']\"]
- namespace: shop
  max_value: 20
  seconds: 86400
  conditions: [req.method == 'POST']
  variables: [user]
- namespace: shop
  max_value: 1000000
  seconds: 60
  conditions:
  variables:
- namespace: shop
  max_value: 1
  seconds: 1
  conditions: [\"descriptors[0].path.startsWith('/a')\"]
";

const POLICY: &str = r#"# Converted from a limits file of Limitador by `weir import limitador`.
#
# Envoy must send one descriptor for each line, with these keys in this order:
#   (req.method)(req.path)
#   (req.method)(user)
#   (namespace)
#
# Not converted:
#   limit 6 (1 in 1 s): the condition descriptors[0].path.startsWith('/a') is more than a comparison with a text
domain: "shop"
# As in Limitador: a refused request is charged to no limit.
atomic: true
descriptors:
  - key: "req.method"
    value: "GET"
    descriptors:
      - key: "req.path"
        value: "/json"
        rate_limit: {unit: second, unit_multiplier: 10, requests_per_unit: 50000}
      - key: "req.path"
        value: "*"
        share_threshold: true
        rate_limit: {unit: minute, requests_per_unit: 10}
  - key: "req.method"
    value: "POST"
    descriptors:
      - key: "user"
        rate_limit:
          - {unit: hour, unit_multiplier: 2, requests_per_unit: 5, name: "per_user"}
          - {unit: day, requests_per_unit: 20}
  - key: "namespace"
    value: "shop"
    rate_limit: {unit: minute, requests_per_unit: 1000000}
"#;

const SCENARIOS: &str = "
tests:
  - name: the limits hold
    steps:
      - ask: {req.method: GET, req.path: /a}
        times: 5
        expect: ok
      - ask: {req.method: GET, req.path: /b}
        times: 6
        expect: {ok: 5, over_limit: 1}
      - ask: {req.method: GET, req.path: /json}
        expect: ok
      - ask: {req.method: POST, user: alice}
        times: 6
        expect: {ok: 5, over_limit: 1}
      - ask: {req.method: POST, user: bob}
        expect: ok
      - ask: {namespace: shop}
        hits: 1000000
        expect: ok
";

fn import(folder: &Path, args: &[&str]) -> Output {
    let mut command = weir(&["import", "limitador", "limits.yaml"]);
    command.current_dir(folder).args(args).output().unwrap()
}

fn folder(limits: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("limits.yaml"), limits).unwrap();
    folder
}

#[test]
fn limits_become_a_policy_that_decides_as_they_did() {
    let folder = folder(LIMITS);
    let output = import(folder.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), POLICY);

    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("shop.yaml"), POLICY).unwrap();
    fs::write(policies.join("shop.test.yaml"), SCENARIOS).unwrap();
    for command in ["check", "test"] {
        let output = weir(&[command]).arg(&policies).output().unwrap();
        assert!(output.status.success(), "{}", stdout(&output));
    }
}

#[test]
fn a_namespace_is_chosen_if_there_are_several() {
    let folder = folder(
        "- {namespace: a, max_value: 1, seconds: 1}\n- {namespace: b, max_value: 2, seconds: 1}\n",
    );
    let output = import(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the namespaces `a`, `b`; choose one with --namespace"));
    let output = import(folder.path(), &["--namespace=b"]);
    assert!(
        stdout(&output).contains("requests_per_unit: 2"),
        "{output:?}"
    );
    let output = import(folder.path(), &["--namespace=c"]);
    assert!(
        stderr(&output).contains("no namespace `c`; it has `a`, `b`"),
        "{output:?}"
    );
}

#[test]
fn files_that_cannot_be_converted_are_explained() {
    for (limits, said) in [
        ("domain: a\n", "not a limits file of Limitador"),
        (
            "- {namespace: a, max_value: -1, seconds: 1}\n",
            "not a limits file of Limitador",
        ),
        ("[]\n", "the file has no limits"),
        ("", "the file has no limits"),
    ] {
        let output = import(folder(limits).path(), &[]);
        assert_eq!(output.status.code(), Some(2), "{limits}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    let odd = "- {namespace: a, max_value: 5000000000, seconds: 1}\n- {namespace: a, max_value: 1, seconds: 0}\n";
    let output = import(folder(odd).path(), &[]);
    assert!(stdout(&output).contains("limit 1 (5000000000 in 1 s): max_value is more than"));
    assert!(
        stdout(&output).contains("limit 2 (1 in 0 s): seconds is 0"),
        "{output:?}"
    );
}
