#include "transport.h"

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

// One TLS connection. OpenSSL never sees the socket: `in` holds bytes from the network, `out` bytes
// for it, so that the I/O thread waits in one place only.
struct Secured {
  Owned<SSL_CTX> context;
  Owned<SSL> ssl;
  BIO* in = nullptr;  // owned by `ssl`, as is `out`
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

bool use_certificate(SSL_CTX* context, const Endpoint& endpoint) {
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
  if (!use_certificate(context, endpoint))
    return "client_cert and client_key are no matching, unencrypted PEM pair";
  return "";
}

bool expect_name(SSL* ssl, const std::string& name) {
  if (is_numeric(name)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  return SSL_set_tlsext_host_name(ssl, name.c_str()) == 1 && SSL_set1_host(ssl, name.c_str()) == 1;
}

bool offer_alpn(SSL* ssl, const std::string& alpn) {
  unsigned char list[256];
  list[0] = static_cast<unsigned char>(alpn.size());
  std::memcpy(list + 1, alpn.data(), alpn.size());
  return SSL_set_alpn_protos(ssl, list, static_cast<unsigned>(alpn.size() + 1)) == 0;
}

std::string open(Secured& secured, const Endpoint& endpoint, const char* name) {
  secured.context.reset(SSL_CTX_new(TLS_client_method()));
  if (!secured.context) return "OpenSSL: " + last_error();
  const std::string problem = set_up(secured.context.get(), endpoint);
  if (!problem.empty()) return problem;
  secured.ssl.reset(SSL_new(secured.context.get()));
  secured.in = BIO_new(BIO_s_mem());
  secured.out = BIO_new(BIO_s_mem());
  if (!secured.ssl || secured.in == nullptr || secured.out == nullptr) {
    BIO_free(secured.in);
    BIO_free(secured.out);
    return "OpenSSL: no memory";
  }
  // The SSL owns both BIOs from here on.
  SSL_set_bio(secured.ssl.get(), secured.in, secured.out);
  SSL_set_connect_state(secured.ssl.get());
  if (!expect_name(secured.ssl.get(), name) || !offer_alpn(secured.ssl.get(), secured.alpn))
    return "OpenSSL: " + last_error();
  return "";
}

void* begin(void* user, const char* name, const char* alpn, char* error, uint32_t error_bytes) {
  std::unique_ptr<Secured> secured(new (std::nothrow) Secured);
  if (!secured) return nullptr;
  secured->alpn = alpn;
  ERR_clear_error();
  const std::string problem = open(*secured, *static_cast<const Endpoint*>(user), name);
  if (problem.empty()) return secured.release();
  copy_text(error, error_bytes, problem);
  return nullptr;
}

int failed(Secured& self, const char* doing) {
  const long verdict = SSL_get_verify_result(self.ssl.get());
  self.why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : last_error();
  if (self.why.empty()) self.why = doing;
  ERR_clear_error();
  return -1;
}

int check_alpn(Secured& self) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(self.ssl.get(), &name, &size);
  if (size == self.alpn.size() && std::memcmp(name, self.alpn.data(), size) == 0) return 1;
  self.why = "the server does not agree on " + self.alpn + " (ALPN)";
  return -1;
}

int32_t handshake(void* connection) {
  auto& self = *static_cast<Secured*>(connection);
  // OpenSSL's error queue belongs to the thread: what an earlier call, or another library of the
  // engine, left there would make SSL_get_error report a failure of this one.
  ERR_clear_error();
  const int code = SSL_do_handshake(self.ssl.get());
  if (code == 1) return check_alpn(self);
  const int kind = SSL_get_error(self.ssl.get(), code);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return 0;
  return failed(self, "the TLS handshake failed");
}

int32_t put(void* connection, const uint8_t* data, uint32_t size) {
  auto& self = *static_cast<Secured*>(connection);
  return BIO_write(self.in, data, static_cast<int>(size)) == static_cast<int>(size) ? 0 : -1;
}

int32_t get(void* connection, uint8_t* data, uint32_t size) {
  auto& self = *static_cast<Secured*>(connection);
  const int count = BIO_read(self.out, data, static_cast<int>(size));
  return count > 0 ? count : 0;
}

// The result of SSL_read or SSL_write as a count; 0 when OpenSSL needs more bytes from the network.
int32_t moved(Secured& self, int count, const char* closed) {
  if (count > 0) return count;
  const int kind = SSL_get_error(self.ssl.get(), count);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return 0;
  if (kind != SSL_ERROR_ZERO_RETURN) return failed(self, closed);
  self.why = closed;
  return -1;
}

int32_t read(void* connection, uint8_t* data, uint32_t size) {
  auto& self = *static_cast<Secured*>(connection);
  ERR_clear_error();
  const int count = SSL_read(self.ssl.get(), data, static_cast<int>(size));
  return moved(self, count, "the server closed the connection");
}

int32_t write(void* connection, const uint8_t* data, uint32_t size) {
  auto& self = *static_cast<Secured*>(connection);
  ERR_clear_error();
  const int count = SSL_write(self.ssl.get(), data, static_cast<int>(size));
  return moved(self, count, "the connection is closed");
}

const char* why(void* connection) { return static_cast<Secured*>(connection)->why.c_str(); }

void end(void* connection) { delete static_cast<Secured*>(connection); }

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
