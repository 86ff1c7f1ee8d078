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
        &LoadOptions::default(),
    );
    assert!(!warned.diagnostics.is_empty());
    let (received, rejected) = XdsLoader::default().load(vec![generated], "1");
    assert_eq!(rejected, None);
    assert!(received.diagnostics.is_empty());
}

fn merging() -> XdsLoader {
    XdsLoader::new(LoadOptions {
        merge_domains: true,
        ..LoadOptions::default()
    })
}

/// A resource with one rule of the domain `a`.
fn part(name: &str, key: &str, requests: &str) -> PolicyText {
    let PolicyText { text, .. } = text("a", requests);
    PolicyText {
        file: format!("xds:{name}").into(),
        text: text.replace("key: a", &format!("key: {key}")),
    }
}

fn rules(received: &Received, domain: &str) -> Option<usize> {
    let domain = received.policy.domain(domain.as_bytes());
    domain.map(|domain| domain.rules.len())
}

#[test]
fn resources_of_one_domain_are_merged_if_that_is_wanted() {
    let texts = || vec![part("1", "a", "1"), part("2", "b", "2"), text("c", "3")];
    let (received, rejected) = merging().load(texts(), "1");
    assert_eq!(rejected, None);
    assert_eq!(
        (rules(&received, "a"), rules(&received, "c")),
        (Some(2), Some(1))
    );

    let (received, rejected) = XdsLoader::default().load(texts(), "1");
    assert_eq!(rules(&received, "a"), Some(1));
    assert!(rejected.unwrap().contains("--merge-domains"));
}

#[test]
fn merged_resources_keep_what_they_had_together() {
    let mut loader = merging();
    loader.load(
        vec![part("1", "a", "1"), part("2", "b", "1"), text("c", "1")],
        "1",
    );
    // One is in error; or both define the same node.
    for second in [part("2", "b", "many"), part("2", "a", "3")] {
        let texts = vec![part("1", "a", "2"), second, text("c", "2")];
        let (received, rejected) = loader.load(texts, "2");
        assert!(rejected.is_some());
        assert_eq!(
            (rules(&received, "a"), limit(&received, "a")),
            (Some(2), Some(1))
        );
        assert_eq!(limit(&received, "c"), Some(2));
    }
    // A new domain is left out as a whole.
    let texts = vec![part("1", "a", "1"), part("2", "b", "many"), text("c", "1")];
    let (received, _) = merging().load(texts, "1");
    assert_eq!(
        (rules(&received, "a"), rules(&received, "c")),
        (None, Some(1))
    );
}

#[test]
fn a_resource_that_moves_to_another_domain_and_is_faulty_keeps_nothing_that_contradicts() {
    let mut loader = XdsLoader::default();
    loader.load(vec![part("1", "a", "1")], "1");
    // What the first had is the domain of the second now.
    let moved = PolicyText {
        file: "xds:1".into(),
        ..text("b", "many")
    };
    let (received, rejected) = loader.load(vec![part("0", "a", "2"), moved], "2");
    assert_eq!(limit(&received, "a"), Some(2));
    assert!(rejected.is_some());
}
