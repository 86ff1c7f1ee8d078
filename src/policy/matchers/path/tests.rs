use proptest::prelude::*;

use super::*;

fn trie(patterns: &[&str]) -> PathTrie {
    let mut trie = PathTrie::default();
    for (at, text) in patterns.iter().enumerate() {
        let pattern = PathPattern::parse(text).unwrap();
        trie.insert(&pattern, at as u32).unwrap();
    }
    trie
}

fn find(patterns: &[&str], value: &str) -> Option<usize> {
    trie(patterns)
        .find(value.as_bytes())
        .map(|found| found.target as usize)
}

#[test]
fn methods_and_paths() {
    let patterns = [
        "GET /a",
        "GET|POST /a/{x}",
        "* /a/{x}",
        "/a",
        "DELETE /f/{*rest}",
    ];
    assert_eq!(find(&patterns, "GET /a"), Some(0));
    assert_eq!(find(&patterns, "GET /a/"), Some(0));
    assert_eq!(find(&patterns, "GET /a?b=/c"), Some(0));
    assert_eq!(find(&patterns, "GET /a//"), None);
    assert_eq!(find(&patterns, "POST /a"), None);
    assert_eq!(find(&patterns, "POST /a/1"), Some(1));
    assert_eq!(find(&patterns, "PUT /a/1"), Some(2));
    assert_eq!(find(&patterns, "/a"), Some(3));
    assert_eq!(find(&patterns, "/a/1"), None);
    assert_eq!(find(&patterns, "DELETE /f"), Some(4));
    assert_eq!(find(&patterns, "DELETE /f/a/b/c"), Some(4));
    assert_eq!(find(&patterns, "DELETE f"), None);
    assert_eq!(find(&patterns, " /a"), None);
    assert_eq!(find(&patterns, "get /a"), None);
    assert_eq!(find(&patterns, ""), None);
}

#[test]
fn the_path_decides_before_the_method() {
    let patterns = ["GET /a/{x}", "* /a/b", "POST /a/{*rest}"];
    assert_eq!(find(&patterns, "GET /a/b"), Some(1));
    assert_eq!(find(&patterns, "GET /a/c"), Some(0));
    assert_eq!(find(&patterns, "POST /a/c"), Some(2));
    assert_eq!(find(&["/a/b/c", "/{x}/b/d"], "/a/b/d"), Some(1));
}

#[test]
fn captures_are_pieces_of_the_value() {
    let pattern = PathPattern::parse("* /sites/{site}/{*rest}").unwrap();
    let mut trie = PathTrie::default();
    trie.insert(&pattern, 0).unwrap();
    let found = trie.find(b"GET /sites/7/a/b/?q").unwrap();
    let piece = |name: &str| found.piece(pattern.capture_ref(name).unwrap());
    assert_eq!(piece("site"), b"7");
    assert_eq!(piece("rest"), b"a/b");
    assert_eq!(piece("method"), b"GET");
    assert_eq!(
        trie.find(b"GET /sites/7")
            .unwrap()
            .piece(CaptureRef::Tail(2)),
        b""
    );
    assert!(trie.find(b"GET /sites//x").is_none());
}

#[test]
fn the_same_shape_is_taken() {
    let taken = |first: &str, second: &str| {
        let mut trie = PathTrie::default();
        trie.insert(&PathPattern::parse(first).unwrap(), 7).unwrap();
        trie.insert(&PathPattern::parse(second).unwrap(), 8) == Err(7)
    };
    assert!(taken("/a/{x}", "/a/{y}/"));
    assert!(taken("GET|POST /a", "POST|PUT /a"));
    assert!(taken("/{*a}", "/{*b}"));
    assert!(!taken("GET /a", "* /a"));
    assert!(!taken("/a", "* /a"));
    assert!(!taken("/{a}", "/{*a}"));
}

#[test]
fn invalid_patterns_are_rejected() {
    for text in [
        "",
        "a",
        "GET",
        "GET  /a",
        "GET a",
        "G|/a",
        "GET| /a",
        "GET|GET /a",
        "/a//b",
        "/{a}/{a}",
        "/{*a}/b",
        "/x{a}",
        "/{}",
        "/{a b}",
        "/{method}",
        "/a?b",
    ] {
        assert!(PathPattern::parse(text).is_err(), "{text}");
    }
    assert!(PathPattern::parse(&"/a".repeat(64)).is_ok());
    assert!(PathPattern::parse(&"/a".repeat(65)).is_err());
}

#[test]
fn a_path_longer_than_any_pattern_still_has_its_tail() {
    let deep = "/a".repeat(64) + "/{*rest}";
    let value = "/a".repeat(70);
    assert_eq!(find(&[&deep], &value), Some(0));
    assert_eq!(find(&[&"/a".repeat(64)], &value), None);
    assert_eq!(find(&[&"/a".repeat(64)], &"/a".repeat(64)), Some(0));
}

/// The rank of a pattern for a path, segment by segment: smaller is better. `None` if it does not match.
fn naive(pattern: &PathPattern, value: &str) -> Option<(Vec<u8>, u8)> {
    let (method, path) = match value.split_once(' ') {
        Some((method, path)) => (Some(method), path),
        None => (None, value),
    };
    let by_method = match (&pattern.methods, method) {
        (Methods::Absent, None) => 0,
        (Methods::Named(names), Some(method)) if names.iter().any(|name| **name == *method) => 0,
        (Methods::Any, Some(_)) => 1,
        _ => return None,
    };
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').filter(|_| !path.is_empty()).collect();
    if parts.len() < pattern.segments.len()
        || (parts.len() > pattern.segments.len() && pattern.tail.is_none())
    {
        return None;
    }
    let mut rank = Vec::new();
    for (segment, part) in pattern.segments.iter().zip(&parts) {
        match segment {
            Segment::Static(text) if **text == **part => rank.push(0),
            Segment::Capture(_) if !part.is_empty() => rank.push(1),
            _ => return None,
        }
    }
    rank.extend(pattern.tail.iter().map(|_| 2));
    Some((rank, by_method))
}

proptest! {
    #[test]
    fn the_trie_agrees_with_a_naive_list(
        patterns in prop::collection::vec("((GET|PUT|GET\\|PUT|\\*) )?(/(a|b|\\{x\\})){0,1}(/(a|b|\\{y\\})){0,2}(/\\{\\*z\\})?", 0..10),
        value in "((GET|PUT|POST) )?/(a|b|c|)(/(a|b|c|)){0,3}",
    ) {
        let mut trie = PathTrie::default();
        let mut list: Vec<PathPattern> = Vec::new();
        for text in patterns {
            let Ok(pattern) = PathPattern::parse(&text) else { continue };
            // A half-inserted duplicate would answer for methods that the list does not know.
            let mut probe = PathTrie::default();
            let clash = list.iter().any(|other| {
                probe = PathTrie::default();
                probe.insert(other, 0).unwrap();
                probe.insert(&pattern, 1).is_err()
            });
            if !clash {
                trie.insert(&pattern, list.len() as u32).unwrap();
                list.push(pattern);
            }
        }
        let expected = list.iter().enumerate()
            .filter_map(|(at, pattern)| naive(pattern, &value).map(|rank| (rank, at)))
            .min()
            .map(|(_, at)| at);
        let found = trie.find(value.as_bytes()).map(|found| found.target as usize);
        prop_assert_eq!(found, expected);
    }
}
