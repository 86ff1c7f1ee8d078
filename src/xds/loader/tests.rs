use super::*;
use crate::policy::Limits;

fn text(name: &str, requests: &str) -> PolicyText {
    PolicyText {
        file: format!("xds:{name}").into(),
        text: format!(
            "domain: {name}\ndescriptors: [{{key: a, rate_limit: {{unit: day, requests_per_unit: {requests}}}}}]\n"
        ),
    }
}

fn limit(received: &Received, domain: &str) -> Option<u32> {
    let domain = received.policy.domain(domain.as_bytes())?;
    match &domain.rules.first()?.limits {
        Limits::Counted(set) => set.limits.first().map(|limit| limit.capacity()),
        Limits::Unlimited { .. } | Limits::Exempt => None,
    }
}

#[test]
fn a_domain_with_an_error_keeps_what_it_had_and_the_others_change() {
    let mut loader = XdsLoader::default();
    let (received, rejected) = loader.load(vec![text("a", "1"), text("b", "1")], "1");
    assert_eq!(rejected, None);
    assert_eq!(
        (limit(&received, "a"), limit(&received, "b")),
        (Some(1), Some(1))
    );

    let (received, rejected) = loader.load(vec![text("a", "2"), text("b", "many")], "2");
    assert_eq!(
        (limit(&received, "a"), limit(&received, "b")),
        (Some(2), Some(1))
    );
    let reason = rejected.unwrap();
    assert!(reason.starts_with("xds:b:2:"), "{reason}");
    assert_eq!(received.rejected, Some(reason));
    assert!(
        received
            .diagnostics
            .iter()
            .all(|found| found.file.ends_with("xds:b"))
    );

    let (received, rejected) = loader.load(vec![text("b", "3")], "3");
    assert_eq!(
        (limit(&received, "a"), limit(&received, "b")),
        (None, Some(3))
    );
    assert_eq!(rejected, None);
}

#[test]
fn a_new_domain_with_an_error_is_left_out() {
    let mut loader = XdsLoader::default();
    let (received, rejected) = loader.load(vec![text("a", "1"), text("b", "many")], "1");
    assert_eq!(
        (limit(&received, "a"), limit(&received, "b")),
        (Some(1), None)
    );
    assert!(rejected.is_some());
}

#[test]
fn a_domain_that_comes_twice_is_taken_once() {
    let mut loader = XdsLoader::default();
    let second = PolicyText {
        file: "xds:z".into(),
        ..text("a", "2")
    };
    let (received, rejected) = loader.load(vec![text("a", "1"), second], "1");
    assert_eq!(limit(&received, "a"), Some(1));
    assert!(rejected.unwrap().contains("xds:a"));
}

#[test]
fn nothing_is_a_configuration() {
    let (received, rejected) = XdsLoader::default().load(Vec::new(), "");
    assert_eq!((received.policy.domain_count(), rejected), (0, None));
    assert!(!received.policy.is_awaited());
}

#[test]
fn warnings_are_for_those_who_write_policies() {
    let generated = PolicyText {
        file: "xds:a".into(),
        text: "{domain: a, descriptors: [{key: 'route/*', rate_limit: {unit: day, requests_per_unit: 0}}]}"
            .to_owned(),
    };
    let warned = policy::load_texts(
        pairs(std::slice::from_ref(&generated)),
        &DomainDefaults::NONE,
    );
    assert!(!warned.diagnostics.is_empty());
    let (received, rejected) = XdsLoader::default().load(vec![generated], "1");
    assert_eq!(rejected, None);
    assert!(received.diagnostics.is_empty());
}
