//! The JSON Schema of a report, as it is published in `assets/report.schema.json`.

/// The schema (JSON Schema 2020-12). It names every field that this version writes, and does not forbid others: later ones
/// may write more.
pub const JSON_SCHEMA: &str = include_str!("../../assets/report.schema.json");

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;

    use super::JSON_SCHEMA;
    use crate::report::{Report, SCHEMA};

    #[test]
    fn the_published_schema_is_that_of_the_code() {
        let mut schema =
            SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Report>();
        schema.insert("title".into(), SCHEMA.into());
        let text = serde_json::to_string_pretty(&schema).expect("it is JSON") + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/report.schema.json");
            std::fs::write(path, &text).expect("the schema is written");
        } else {
            assert_eq!(JSON_SCHEMA, text, "UPDATE_SCHEMA=1 writes it anew");
        }
    }
}
