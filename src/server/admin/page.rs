//! The admin page: one document that loads nothing but the endpoints of this server.
//!
//! Its parts are in `page/`: `page.html` is the document, into which the style and the scripts are put.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

const DOCUMENT: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");

/// They share one scope, so a script can use what those before it define.
const SCRIPTS: [&str; 7] = [
    include_str!("page/elements.js"),
    include_str!("page/plot.js"),
    include_str!("page/summary.js"),
    include_str!("page/rules.js"),
    include_str!("page/clients.js"),
    include_str!("page/assignments.js"),
    include_str!("page/live.js"),
];

/// The content security policy permits the script and style of the page, and nothing injected.
pub(super) async fn page() -> Response {
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the system provides no random bytes\n",
        )
            .into_response();
    }
    let nonce: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let page = document(&nonce);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, page).into_response()
}

/// The whole document; only elements with the nonce have an effect.
fn document(nonce: &str) -> String {
    let style = format!("<style nonce=\"{nonce}\">{STYLE}</style>");
    let script = format!("<script nonce=\"{nonce}\">{}</script>", SCRIPTS.concat());
    DOCUMENT
        .replacen("<style></style>", &style, 1)
        .replacen("<script></script>", &script, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_self_contained() {
        let page = document("abc");
        assert!(page.len() <= 64 * 1024, "{}", page.len());
        for outside in [
            "src=",
            "href=\"http",
            "@import",
            "url(",
            "style=\"",
            "onclick",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        for element in ["script", "style"] {
            let with_nonce = format!("<{element} nonce=\"abc\">");
            assert_eq!(page.matches(&with_nonce).count(), 1, "{element}");
            assert_eq!(page.matches(&format!("<{element}")).count(), 1, "{element}");
        }
    }

    #[test]
    fn what_others_send_never_becomes_markup() {
        let scripts = SCRIPTS.concat();
        for markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!scripts.contains(markup), "{markup}");
        }
    }
}
