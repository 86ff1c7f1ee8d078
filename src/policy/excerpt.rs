//! The lines of a policy that a diagnostic may show.

use super::raw::LANGUAGE;
use crate::document::{self, Excerpt, Position, SecretKeys};

/// The lines of `positions`, each without the values of secret keys; `None` for a position without a line, or with a
/// very long one.
pub fn excerpts(text: &str, positions: &[Position], secrets: &SecretKeys) -> Vec<Option<Excerpt>> {
    let keys = LANGUAGE.keys().map(|key| (key.name, key.value.visibility));
    document::excerpts(text, positions, &keys.collect::<Vec<_>>(), secrets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Position;

    fn at(text: &str, line: u32, column: u32) -> Option<(String, u32)> {
        let secrets = SecretKeys::of([text]);
        let excerpt = excerpts(text, &[Position { line, column }], &secrets).remove(0)?;
        Some((excerpt.line, excerpt.end_column))
    }

    fn line(text: &str, number: u32) -> String {
        at(text, number, 1).unwrap().0
    }

    #[test]
    fn values_of_other_keys_are_shown() {
        let text = "domain: d\ndescriptors:\n\
                    - {value: 'a b', key: a, descriptors: [{key: s, value: pk}, {key: b, values: [x, y]}]}\n\
                    - {value_sha256: 5, key: s, secret: true}\n\
                    - {cidr: [10.0.0.0/8], key: c}\n- {pattern: /x, kee: c}\n- {<<: {key: c}, value: v}\n";
        let third = "- {value: 'a b', key: a, descriptors: [{key: s, value: **}, {key: b, values: [x, y]}]}";
        assert_eq!(line(text, 3), third);
        assert_eq!(line(text, 4), "- {value_sha256: *, key: s, secret: ****}");
        assert_eq!(line(text, 5), "- {cidr: [10.0.0.0/8], key: c}");
        // The key is not known.
        assert_eq!(line(text, 6), "- {pattern: **, kee: c}");
        assert_eq!(line(text, 7), "- {<<: {key: c}, value: *}");
    }

    #[test]
    fn possible_values_are_masked_and_the_rest_is_shown() {
        let text = "domain: shop # pk_live\n\
                    descriptors:\n\
                    - {secret: yes, key: a, value: pk_live, rate_limit: {unit: hour}}\n\
                    - key: b\n  values: [pk_live,\n    pk_live]\n  secret: pk_live\n\
                    \x20 metadata: {tier: gold}\n  valeu: pk_live\n  descriptors: [pk_live]\n";
        assert_eq!(line(text, 1), "domain: shop");
        let third = "- {secret: ***, key: a, value: *******, rate_limit: {unit: hour}}";
        assert_eq!(line(text, 3), third);
        assert_eq!(line(text, 5), "  values: [*******,");
        assert_eq!(line(text, 6), "    *******]");
        assert_eq!(line(text, 7), "  secret: *******");
        assert_eq!(line(text, 8), "  metadata: {tier: gold}");
        assert_eq!(line(text, 9), "  valeu: *******");
        let flow = "descriptors: [{value: a, pk_live}]";
        assert_eq!(line(flow, 1), "descriptors: [{value: *, *******}]");
        assert_eq!(line(text, 10), "  descriptors: [*******]");
    }

    #[test]
    fn a_range_ends_with_its_scalar() {
        let text = "domain: shop\ndescriptors:\n- {key: \"a b\", value: é}\n";
        assert_eq!(at(text, 1, 9).unwrap().1, 13);
        assert_eq!(at(text, 3, 9).unwrap().1, 14);
        assert_eq!(at(text, 3, 3).unwrap().1, 4);
        assert_eq!(at(text, 4, 1), None);
    }

    #[test]
    fn after_a_syntax_error_only_keys_are_shown() {
        let text = "domain: d\ndescriptors:\n- {key: k, value: \"pk\\q\", unit pk}\n";
        assert_eq!(line(text, 3), "- {key: *, value: \"****\", unit **}");
    }

    #[test]
    fn lines_end_as_in_yaml() {
        let text = "domain: d\rdescriptors: []\r\nresponse: {}\n";
        assert_eq!(line(text, 2), "descriptors: []");
        assert_eq!(line(text, 3), "response: {}");
        let json = "{\"domain\": \"d\", \"descriptors\": [{\"key\": \"a\", \"secret\": 1, \"value\": \"pk\"}]}";
        assert!(line(json, 1).ends_with("\"key\": \"a\", \"secret\": *, \"value\": ****}]}"));
    }

    #[test]
    fn a_very_long_line_is_not_shown() {
        let text = format!("domain: {}\nshadow_mode: x\n", "d".repeat(500));
        assert_eq!(at(&text, 1, 1), None);
        assert_eq!(line(&text, 2), "shadow_mode: x");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(
            line("domain: \"a\u{1b}[2J\tb\"", 1),
            "domain: \"a\u{fffd}[2J b\""
        );
    }
}
