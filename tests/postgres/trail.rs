//! The three trails, with the semantics of the existing system.

use audit_runtime::trail::Trail;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tests::Database;
use uuid::Uuid;

struct Rows<'a> {
    database: &'a Database,
    begin: DateTime<Utc>,
    count: i64,
}

impl Rows<'_> {
    /// Inserts as the existing system does: the seven columns. Each row is a second older than the
    /// one before.
    async fn insert(&mut self, entity: (&str, Option<Uuid>), event_type: &str, data: Value) {
        self.count += 1;
        sqlx::query(
            "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at) \
             VALUES ($1, $2, $3, $4, 'system', $5, $6)",
        )
        .bind(Uuid::new_v4())
        .bind(event_type)
        .bind(entity.0)
        .bind(entity.1)
        .bind(data)
        .bind(self.begin - TimeDelta::seconds(self.count))
        .execute(&self.database.pool)
        .await
        .unwrap();
    }
}

fn types(events: &[audit_runtime::trail::TrailEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

#[tokio::test]
async fn the_trails_find_exactly_the_rows_of_the_reference() {
    let database = Database::new().await;
    let begin = "2026-05-04T03:02:01.000123Z".parse().unwrap();
    let mut rows = Rows { database: &database, begin, count: 0 };
    let (order, recommendation, risk, other) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    rows.insert(("order", Some(order)), "order.filled", json!({})).await;
    rows.insert(("position", Some(order)), "position.opened", json!({})).await;
    rows.insert(("approval", Some(Uuid::now_v7())), "approval.requested", json!({"order_id": order})).await;
    rows.insert(("order", Some(order)), "order.submitted", json!({"recommendation_id": recommendation})).await;
    rows.insert(("risk_evaluation", Some(risk)), "risk.failed", json!({})).await;
    rows.insert(("risk_evaluation", Some(risk)), "risk.evaluated", json!({"recommendation_id": recommendation})).await;
    rows.insert(("recommendation", Some(recommendation)), "recommendation.generated", json!({})).await;
    rows.insert(("order", Some(other)), "order.cancelled", json!({"recommendation_id": null, "order_id": 7})).await;
    rows.insert(("order", None), "order.rejected", json!({"recommendation_id": recommendation})).await;

    let trail = Trail::new(database.pool.clone());
    assert_eq!(
        types(&trail.order(order, None).await.unwrap()),
        ["order.submitted", "approval.requested", "position.opened", "order.filled"],
        "without a recommendation, the order's id is what data is searched for"
    );
    assert_eq!(
        types(&trail.order(order, Some(recommendation)).await.unwrap()),
        ["order.rejected", "risk.evaluated", "order.submitted", "position.opened", "order.filled"],
        "with one, it is the recommendation's id"
    );
    assert_eq!(types(&trail.entity("order", order).await.unwrap()), ["order.submitted", "order.filled"]);
    assert_eq!(
        types(&trail.execution(recommendation, recommendation).await.unwrap()),
        [
            "recommendation.generated",
            "risk.evaluated",
            "risk.failed",
            "order.submitted",
            "position.opened",
            "order.filled"
        ],
        "every row of each entity that any row links to the recommendation"
    );
    assert!(trail.order(Uuid::now_v7(), None).await.unwrap().is_empty());

    let submitted = &trail.entity("order", order).await.unwrap()[0];
    let json = serde_json::to_value(submitted).unwrap();
    assert_eq!(json["entity_id"], json!(order.to_string()));
    assert_eq!(json["created_at"], "2026-05-04T03:01:57.000123+00:00");
    assert_eq!(json["data"], json!({"recommendation_id": recommendation}));
}
