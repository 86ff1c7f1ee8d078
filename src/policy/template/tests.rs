use super::*;

struct Fixed;

impl Values for Fixed {
    fn write(&self, operator: &Operator, out: &mut Vec<u8>) -> bool {
        let value: &[u8] = match operator {
            Operator::Limit => b"60",
            Operator::Metadata(key) if &**key == "tier" => b"free \"x\"\\",
            Operator::Entry(key) if &**key == "agent" => b"a\r\n\xffb",
            _ => return false,
        };
        out.extend_from_slice(value);
        true
    }
}

fn header(text: &str) -> Option<String> {
    let (pieces, faults) = parse(text);
    assert_eq!(faults, []);
    HeaderValueTemplate::new(pieces).render(&Fixed)
}

fn body(text: &str) -> Result<String, BodyError> {
    let (pieces, faults) = parse(text);
    assert_eq!(faults, []);
    let slots = parse_body(text, pieces, |key| key == "number").map_err(|(_, fault)| fault)?;
    Ok(BodyTemplate::new(slots).render(&Fixed))
}

#[test]
fn a_header_is_filled_in_or_left_out() {
    assert_eq!(header("%LIMIT%;100%%").as_deref(), Some("60;100%"));
    assert_eq!(header("%BURST%"), None);
    assert_eq!(header("%METADATA(tier)%").as_deref(), Some("free \"x\"\\"));
}

#[test]
fn a_header_loses_control_characters_and_invalid_text() {
    assert_eq!(header("<%ENTRY(agent)%>").as_deref(), Some("<a\u{fffd}b>"));
}

#[test]
fn strings_in_a_json_body_are_escaped() {
    let text =
        r#"{"a":"%ENTRY(agent)%","b":"%METADATA(tier)%","c":%LIMIT%,"d":%BURST%,"e":"%NAME%"}"#;
    let expected =
        "{\"a\":\"a\\r\\n\u{fffd}b\",\"b\":\"free \\\"x\\\"\\\\\",\"c\":60,\"d\":null,\"e\":\"\"}";
    assert_eq!(body(text).as_deref(), Ok(expected));
    serde_json::from_str::<serde_json::Value>(expected).unwrap();
}

#[test]
fn a_json_body_that_an_answer_could_break_is_refused() {
    assert_eq!(body("{\"a\":}"), Err(BodyError::Json));
    assert_eq!(body(r#"["\u000%LIMIT%"]"#), Err(BodyError::InEscape));
    assert_eq!(body("[1%LIMIT%]"), Err(BodyError::NotWhole));
    assert_eq!(body("[%LIMIT%1]"), Err(BodyError::Json));
    assert_eq!(body("[%LIMIT%.5]"), Err(BodyError::NotWhole));
    assert_eq!(body("[-%LIMIT%]"), Err(BodyError::NotWhole));
    assert_eq!(body("[%NAME%]"), Err(BodyError::NotNumber));
    assert_eq!(body("[%METADATA(tier)%]"), Err(BodyError::NotNumber));
    assert_eq!(body("[%METADATA(number)%]").as_deref(), Ok("[null]"));
    assert_eq!(body(r#"["\\%LIMIT%"]"#).as_deref(), Ok(r#"["\\60"]"#));
    assert_eq!(
        body(r#"["\u00e9%LIMIT%"]"#).as_deref(),
        Ok(r#"["\u00e960"]"#)
    );
}

#[test]
fn a_plain_body_keeps_lines() {
    let (pieces, _) = parse("wait %ENTRY(agent)%%BURST%\n");
    let slots = pieces.into_iter().map(|piece| (piece, Escaping::Plain));
    let text = BodyTemplate::new(slots.collect()).render(&Fixed);
    assert_eq!(text, "wait a\n\u{fffd}b\n");
}

#[test]
fn faults_are_named() {
    let faults =
        |text: &str| -> Vec<_> { parse(text).1.into_iter().map(|(_, fault)| fault).collect() };
    assert_eq!(faults("50%"), [TemplateError::UnescapedPercent]);
    assert_eq!(faults("50% of %LIMIT%"), [TemplateError::UnescapedPercent]);
    assert_eq!(
        faults("%LIMITS%"),
        [TemplateError::UnknownOperator("LIMITS".into())]
    );
    assert_eq!(
        faults("%METADATA%"),
        [TemplateError::InvalidArgument("METADATA".into())]
    );
    assert_eq!(
        faults("%ENTRY()%"),
        [TemplateError::InvalidArgument("ENTRY".into())]
    );
    assert_eq!(
        faults("%LIMIT(x)%"),
        [TemplateError::InvalidArgument("LIMIT".into())]
    );
}

#[test]
fn values_in_markup_are_escaped() {
    struct Script;
    impl Values for Script {
        fn write(&self, _: &Operator, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(b"<b a=\"x\">'&");
            true
        }
    }
    let entry = TemplatePiece::Operator(Operator::Entry("user".into()));
    let body = BodyTemplate::new(vec![
        (TemplatePiece::Text("<p>".into()), Escaping::Plain),
        (entry, Escaping::Markup),
    ]);
    let expected = "<p>&lt;b a=&quot;x&quot;&gt;&#39;&amp;";
    assert_eq!(body.render(&Script), expected);
}

#[test]
fn a_fault_knows_its_place_in_the_template() {
    for (text, at) in [
        (r#"{"a": }"#, "}"),
        (r#"{"a": %LIMIT%, "b": "50%%", "c": oops}"#, "oops"),
        ("{\n  \"a\": \"\u{e9}%NAME%\",\n  \"b\" 1\n}\n", "1\n"),
        (r#"{"a": "%NAME%", "b": 1%LIMIT%}"#, "%LIMIT"),
        (r#"{"a": "%NAME%", "b": %NAME%}"#, "%NAME%}"),
        ("{\n  \"a\": [%LIMIT%]\n\n", "]\n\n"),
    ] {
        let (place, _) = parse_body(text, parse(text).0, |_| false).unwrap_err();
        assert_eq!(text.find(at), Some(place), "{text}");
    }
    let faults = parse("%LIMIT% 50% %LIMITS%").1;
    let places: Vec<usize> = faults.iter().map(|(at, _)| *at).collect();
    assert_eq!(places, [10, 12]);
}
