//! The plots: their axis, and the values at the mouse, a finger and the arrow keys.

use super::{POLICY, Site};

#[test]
fn plots_have_an_axis_and_show_their_values() {
    let Some(mut site) = Site::open(POLICY) else {
        return;
    };
    site.send_traffic();
    let plot = "#domains .plot";
    let texts = |of: &str| {
        format!("[...document.querySelectorAll('{plot} {of} span')].map(span => span.textContent)")
    };
    let axis = site.page.value(&texts(".y"));
    let top: f64 = axis[0]
        .as_str()
        .and_then(|top| top.parse().ok())
        .expect("a number");
    let most = site
        .page
        .value("Math.max(...overview.domains[0].steps.map(total)) / overview.step_secs");
    let most = most.as_f64().expect("a number");
    assert!(
        top >= most && top < 2.6 * most,
        "{top} is not the axis of {most}"
    );
    assert_eq!(axis[2], "0");
    assert_eq!(site.page.value(&texts(".x"))[1], "now");
    let small = site
        .page
        .value("document.querySelector('#rules .plot .peak').textContent");
    assert!(
        small.as_str().is_some_and(|peak| peak.starts_with("max ")),
        "{small}"
    );

    let tip = |site: &mut Site| site.page.value("$('tip').textContent").to_string();
    let shown = "!$('tip').hidden";
    site.page.point_at(&format!("{plot} .area"));
    site.page.wait_for(shown);
    let text = tip(&mut site);
    assert!(
        text.contains("per second") && text.contains("allowed") && text.contains("refused"),
        "{text}"
    );
    site.page.point_at("h1");
    site.page.wait_for("$('tip').hidden");

    // A screen reader hears the same as is shown.
    site.page
        .value(&format!("document.querySelector('{plot}').focus()"));
    let place = format!("Number(document.querySelector('{plot}').getAttribute('aria-valuenow'))");
    site.page.press(&["End", "ArrowLeft"]);
    site.page.wait_for(shown);
    assert_eq!(site.page.value(&place), site.page.value("span() - 2"));
    let spoken = site.page.value(&format!(
        "document.querySelector('{plot}').getAttribute('aria-valuetext')"
    ));
    let shown_values = site
        .page
        .value("[...$('tip').querySelectorAll('p')].map(line => line.textContent).join(', ')");
    assert!(
        spoken
            .as_str()
            .zip(shown_values.as_str())
            .is_some_and(|(spoken, shown)| spoken.contains(shown)),
        "{spoken} {shown_values}"
    );
    site.page.press(&["Home"]);
    assert_eq!(site.page.value(&place), 0);
    site.page.press(&["Escape"]);
    assert_eq!(site.page.value("$('tip').hidden"), true);

    // In a table, Tab stops at one plot, and the arrow keys lead to the next.
    let reachable = "$('rules').querySelectorAll('.plot[tabindex=\"0\"]').length";
    assert_eq!(site.page.value(reachable), 1);
    site.page.value("$('rules').querySelector('.plot').focus()");
    site.page.press(&["ArrowDown"]);
    assert_eq!(
        site.page
            .value("[...$('rules').querySelectorAll('.plot')].indexOf(document.activeElement)"),
        1
    );

    site.page.look(390, false);
    site.page.tap_until(&format!("{plot} .area"), shown);
    let fits =
        "(({left, right}) => left >= 0 && right <= innerWidth)($('tip').getBoundingClientRect())";
    assert_eq!(site.page.value(fits), true);
    site.page.tap("#h-explain");
    site.page.wait_for("$('tip').hidden");
    assert!(site.complaints().is_empty(), "{:?}", site.complaints());
}
