#include "tls_openssl.h"

#if defined(C2R_WITH_OPENSSL)

#include "text.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstring>
#include <memory>
#include <new>

#if defined(_WIN32)
#include <windows.h>
#include <wincrypt.h>
#undef X509_NAME
#endif

namespace c2r {

namespace {

struct Free {
  void operator()(SSL_CTX* one) const { SSL_CTX_free(one); }
  void operator()(SSL* one) const { SSL_free(one); }
  void operator()(BIO* one) const { BIO_free(one); }
  void operator()(X509* one) const { X509_free(one); }
  void operator()(EVP_PKEY* one) const { EVP_PKEY_free(one); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

struct Connection {
  Owned<SSL_CTX> context;
  Owned<SSL> ssl;
  BIO* in = nullptr;  // owned by ssl, as is out
  BIO* out = nullptr;
  std::string alpn, why;
};

std::string last_error() {
  const unsigned long code = ERR_peek_last_error();
  char text[256] = "";
  if (code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

Owned<BIO> reader(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

bool trust_these(SSL_CTX* context, const std::string& pem) {
  const Owned<BIO> bio = reader(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int count = 0;
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const Owned<X509> owned(one);
    count += X509_STORE_add_cert(store, one) == 1;
  }
  ERR_clear_error();
  return count > 0;
}

#if defined(_WIN32)
void trust_system(SSL_CTX* context) {
  const HCERTSTORE store = CertOpenSystemStoreA(0, "ROOT");
  if (store == nullptr) return;
  PCCERT_CONTEXT one = nullptr;
  while ((one = CertEnumCertificatesInStore(store, one)) != nullptr) {
    const unsigned char* bytes = one->pbCertEncoded;
    const Owned<X509> owned(d2i_X509(nullptr, &bytes, static_cast<long>(one->cbCertEncoded)));
    if (owned) X509_STORE_add_cert(SSL_CTX_get_cert_store(context), owned.get());
  }
  CertCloseStore(store, 0);
  ERR_clear_error();
}
#else
void trust_system(SSL_CTX* context) { SSL_CTX_set_default_verify_paths(context); }
#endif

int no_password(char*, int, int, void*) { return 0; }

bool show_certificate(SSL_CTX* context, const Endpoint& endpoint) {
  if (endpoint.client_cert.empty()) return true;
  const Owned<BIO> cert = reader(endpoint.client_cert), key = reader(endpoint.client_key);
  const Owned<X509> ours(PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr));
  const Owned<EVP_PKEY> secret(
      PEM_read_bio_PrivateKey(key.get(), nullptr, &no_password, nullptr));
  if (!ours || !secret || SSL_CTX_use_certificate(context, ours.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, secret.get()) != 1)
    return false;
  while (X509* one = PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr))
    if (SSL_CTX_add_extra_chain_cert(context, one) != 1) X509_free(one);
  ERR_clear_error();
  return SSL_CTX_check_private_key(context) == 1;
}

std::string set_up(SSL_CTX* context, const Endpoint& endpoint) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  if (endpoint.root_ca.empty())
    trust_system(context);
  else if (!trust_these(context, endpoint.root_ca))
    return "root_ca holds no certificate in PEM form";
  if (!show_certificate(context, endpoint))
    return "client_cert and client_key are no matching, unencrypted PEM pair";
  return "";
}

bool expect_name(SSL* ssl, const std::string& name) {
  if (is_numeric(name)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  return SSL_set_tlsext_host_name(ssl, name.c_str()) == 1 && SSL_set1_host(ssl, name.c_str()) == 1;
}

bool offer(SSL* ssl, const std::string& alpn) {
  unsigned char list[256];
  list[0] = static_cast<unsigned char>(alpn.size());
  std::memcpy(list + 1, alpn.data(), alpn.size());
  return SSL_set_alpn_protos(ssl, list, static_cast<unsigned>(alpn.size() + 1)) == 0;
}

std::string open(Connection& made, const Endpoint& endpoint, const char* name) {
  made.context.reset(SSL_CTX_new(TLS_client_method()));
  if (!made.context) return "OpenSSL: " + last_error();
  const std::string problem = set_up(made.context.get(), endpoint);
  if (!problem.empty()) return problem;
  made.ssl.reset(SSL_new(made.context.get()));
  made.in = BIO_new(BIO_s_mem());
  made.out = BIO_new(BIO_s_mem());
  if (!made.ssl || made.in == nullptr || made.out == nullptr) {
    BIO_free(made.in);
    BIO_free(made.out);
    return "OpenSSL: no memory";
  }
  SSL_set_bio(made.ssl.get(), made.in, made.out);
  SSL_set_connect_state(made.ssl.get());
  if (!expect_name(made.ssl.get(), name) || !offer(made.ssl.get(), made.alpn))
    return "OpenSSL: " + last_error();
  return "";
}

void* begin(void* user, const char* name, const char* alpn, char* error, uint32_t error_bytes) {
  std::unique_ptr<Connection> made(new (std::nothrow) Connection);
  if (!made) return nullptr;
  made->alpn = alpn;
  ERR_clear_error();
  const std::string problem = open(*made, *static_cast<const Endpoint*>(user), name);
  if (problem.empty()) return made.release();
  copy_text(error, error_bytes, problem);
  return nullptr;
}

int failed(Connection& of, const char* doing) {
  const long verdict = SSL_get_verify_result(of.ssl.get());
  of.why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : last_error();
  if (of.why.empty()) of.why = doing;
  ERR_clear_error();
  return -1;
}

int agreed(Connection& of) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(of.ssl.get(), &name, &size);
  if (size == of.alpn.size() && std::memcmp(name, of.alpn.data(), size) == 0) return 1;
  of.why = "the server does not agree on " + of.alpn + " (ALPN)";
  return -1;
}

int32_t handshake(void* connection) {
  auto& of = *static_cast<Connection*>(connection);
  ERR_clear_error();
  const int code = SSL_do_handshake(of.ssl.get());
  if (code == 1) return agreed(of);
  const int kind = SSL_get_error(of.ssl.get(), code);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return 0;
  return failed(of, "the TLS handshake failed");
}

int32_t put(void* connection, const uint8_t* data, uint32_t size) {
  auto& of = *static_cast<Connection*>(connection);
  return BIO_write(of.in, data, static_cast<int>(size)) == static_cast<int>(size) ? 0 : -1;
}

int32_t get(void* connection, uint8_t* data, uint32_t size) {
  auto& of = *static_cast<Connection*>(connection);
  const int count = BIO_read(of.out, data, static_cast<int>(size));
  return count > 0 ? count : 0;
}

int32_t moved(Connection& of, int count, const char* closed) {
  if (count > 0) return count;
  const int kind = SSL_get_error(of.ssl.get(), count);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return 0;
  if (kind != SSL_ERROR_ZERO_RETURN) return failed(of, closed);
  of.why = closed;
  return -1;
}

int32_t read(void* connection, uint8_t* data, uint32_t size) {
  auto& of = *static_cast<Connection*>(connection);
  ERR_clear_error();
  const int count = SSL_read(of.ssl.get(), data, static_cast<int>(size));
  return moved(of, count, "the server closed the connection");
}

int32_t write(void* connection, const uint8_t* data, uint32_t size) {
  auto& of = *static_cast<Connection*>(connection);
  ERR_clear_error();
  const int count = SSL_write(of.ssl.get(), data, static_cast<int>(size));
  return moved(of, count, "the connection is closed");
}

const char* why(void* connection) { return static_cast<Connection*>(connection)->why.c_str(); }

void end(void* connection) { delete static_cast<Connection*>(connection); }

}  // namespace

bool openssl_functions(const Endpoint& endpoint, c2r_tls& functions) {
  functions = {sizeof functions, 0,    const_cast<Endpoint*>(&endpoint),
               &begin,           &handshake, &put, &get, &read, &write, &why, &end};
  return true;
}

}  // namespace c2r

#else

namespace c2r {
bool openssl_functions(const Endpoint&, c2r_tls&) { return false; }
}  // namespace c2r

#endif
