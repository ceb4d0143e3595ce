//! Handlers of actix-web, called by way of an application of `actix_web::test`.

use crate::scene::{ID, error, ok, recorded};
use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, Responder, ResponseError, delete, get, post, put, test, web};
use audit_runtime::audited;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("document not found")]
    NotFound,
    #[error("the title is empty")]
    Untitled,
    #[error("blocked: {0}")]
    Blocking(#[from] actix_web::error::BlockingError),
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Untitled => StatusCode::BAD_REQUEST,
            Self::Blocking(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

type ApiResult<T, E = ApiError> = actix_web::Result<T, E>;

#[derive(Default)]
struct Library {
    documents: Mutex<HashMap<Uuid, Document>>,
}

impl Library {
    fn get(&self, id: &Uuid) -> ApiResult<Document> {
        self.documents.lock().unwrap().get(id).cloned().ok_or(ApiError::NotFound)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct NewDocument {
    title: String,
}

#[derive(Debug, Clone, Serialize)]
struct Document {
    id: Uuid,
    title: String,
}

// 11. The route above, `web::Data`, `web::Json` in and out, an alias: 2.
#[post("/documents")]
#[audited(event = "document.created", id = |document| document.id)]
async fn create(library: web::Data<Library>, body: web::Json<NewDocument>) -> ApiResult<web::Json<Document>> {
    let NewDocument { title } = body.into_inner();
    if title.is_empty() {
        return Err(ApiError::Untitled);
    }
    let document = Document { id: ID, title };
    library.documents.lock().unwrap().insert(document.id, document.clone());
    Ok(web::Json(document))
}

// 12. The attribute above the route, a path read, `impl Responder`: 1.
#[audited(event = "document.shown")]
#[get("/documents/{id}")]
async fn show(library: web::Data<Library>, id: web::Path<Uuid>) -> ApiResult<impl Responder> {
    let document = library.get(&id)?;
    Ok(web::Json(document).customize().insert_header((header::CACHE_CONTROL, "no-store")))
}

// 13. `HttpResponse` and a request: 2.
#[audited(event = "document.exported", id = *path)]
async fn export(request: HttpRequest, path: web::Path<Uuid>, library: web::Data<Library>) -> HttpResponse {
    match library.get(&path) {
        Ok(_) if request.query_string() == "format=pdf" => HttpResponse::NotImplemented().finish(),
        Ok(document) => HttpResponse::Ok().body(document.title),
        Err(error) => error.error_response(),
    }
}

// 14. `impl Responder` of a response: 1.
#[put("/documents/{id}")]
#[audited(event = "document.renamed")]
async fn rename(id: web::Path<Uuid>, library: web::Data<Library>, body: web::Json<NewDocument>) -> impl Responder {
    match library.documents.lock().unwrap().get_mut(&id) {
        Some(document) => {
            document.title.clone_from(&body.title);
            HttpResponse::NoContent().finish()
        }
        None => HttpResponse::NotFound().finish(),
    }
}

// 15. `actix_web::Error`, and what blocks on another thread: 1.
#[delete("/documents/{id}")]
#[audited(event = "document.removed")]
async fn remove(id: web::Path<Uuid>, library: web::Data<Library>) -> actix_web::Result<HttpResponse> {
    let id = id.into_inner();
    web::block(audit_runtime::in_context(move || erase(&library, id))).await??;
    Ok(HttpResponse::NoContent().finish())
}

// 16. A function of that thread: 2.
#[audited(event = "document.erased", skip(library))]
fn erase(library: &Library, id: Uuid) -> ApiResult<()> {
    library.documents.lock().unwrap().remove(&id).map(drop).ok_or(ApiError::NotFound)
}

fn message(text: &str) -> Value {
    json!({"message": text, "causes": []})
}

#[actix_web::test]
async fn handlers_record_what_they_respond() {
    let library = web::Data::new(Library::default());
    let app = App::new()
        .app_data(library.clone())
        .service(create)
        .service(show)
        .service(rename)
        .service(remove)
        .route("/documents/{id}/export", web::get().to(export));
    let app = test::init_service(app).await;
    let path = format!("/documents/{ID}");
    let body = |title: &str| json!({"title": title});
    let requests = [
        (400, test::TestRequest::post().uri("/documents").set_json(body(""))),
        (200, test::TestRequest::post().uri("/documents").set_json(body("Plan"))),
        (200, test::TestRequest::get().uri(&path)),
        (200, test::TestRequest::get().uri(&format!("{path}/export"))),
        (501, test::TestRequest::get().uri(&format!("{path}/export?format=pdf"))),
        (204, test::TestRequest::put().uri(&path).set_json(body("Plan B"))),
        (204, test::TestRequest::delete().uri(&path)),
        (404, test::TestRequest::get().uri(&path)),
        (404, test::TestRequest::get().uri(&format!("{path}/export"))),
        (404, test::TestRequest::put().uri(&path).set_json(body("Plan C"))),
        (404, test::TestRequest::delete().uri(&path)),
    ];
    let ((), rows) = recorded(async {
        for (status, request) in requests {
            assert_eq!(test::call_service(&app, request.to_request()).await.status(), status);
        }
    })
    .await;
    let not_found = || json!({"id": ID, "error": message("document not found")});
    let expected = [
        error("document.created", None, json!({"body": body(""), "error": message("the title is empty")})),
        ok("document.created", ID, json!({"body": body("Plan"), "result": {"id": ID, "title": "Plan"}})),
        ok("document.shown", ID, json!({"id": ID})),
        ok("document.exported", ID, json!({"path": ID, "result": 200})),
        error("document.exported", ID, json!({"path": ID, "result": 501})),
        ok("document.renamed", ID, json!({"id": ID, "body": body("Plan B"), "result": 204})),
        ok("document.removed", ID, json!({"id": ID, "result": 204})),
        ok("document.erased", ID, json!({"id": ID})),
        error("document.shown", ID, not_found()),
        error("document.exported", ID, json!({"path": ID, "result": 404})),
        error("document.renamed", ID, json!({"id": ID, "body": body("Plan C"), "result": 404})),
        error("document.removed", ID, not_found()),
        error("document.erased", ID, not_found()),
    ];
    assert_eq!(rows, expected);
}
