//! Action and resource definitions: refused if and only if an error is reported; what is loaded has routes that paths are looked up in.

#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use portcullis::snapshot::Builder;
use portcullis::snapshot::wire::Definition;
use portcullis::source::{Cursor, Report, Source, yaml};
use portcullis::types::{Path, Revision};

fuzz_target!(|text: &str| {
    let (source, report) = (Source::new("fuzz", text), Report::new());
    let Ok(documents) = yaml::parse(&source) else { return };
    let mut builder = Builder::new("e".parse().expect("an offering"), &report);
    let mut services = Vec::new();
    let mut whole = true;
    for document in &documents {
        let before = report.has_errors();
        match Definition::decode(&Cursor::new(document, &source, &report)) {
            Some(definition) => {
                if let Definition::Actions(actions) = &definition {
                    services.push(actions.service.clone());
                }
                builder.definition(definition);
            }
            None => {
                assert!(before || report.has_errors(), "refused, and nobody says why");
                whole = false;
            }
        }
    }
    let snapshot = builder.build(Revision::File([0; 6]));
    assert!(snapshot.is_none() || !report.has_errors(), "{report}");
    assert!(snapshot.is_some() || report.has_errors() || !whole, "refused, and nobody says why");
    let _ = report.to_string();
    let Some(snapshot) = snapshot else { return };
    for service in services {
        let Some(definition) = snapshot.definition(&service) else { panic!("`{service}` is lost") };
        for target in ["/", "/v1/users/u1", "/v1/things/a%2Fb/tags", "/v1//x"] {
            if let Ok(path) = Path::parse(target) {
                let _ = definition.find(&Method::GET, &path, None);
            }
        }
    }
});
