# C structures and tables of the contract's messages, made by nanopb from renderer.proto.
find_program(C2R_NANOPB_GENERATOR
             NAMES nanopb_generator.py nanopb_generator nanopb_generator.bat
             HINTS ${nanopb_DIR}/../../tools/nanopb REQUIRED)
set(C2R_PROTO_ROOT ${CMAKE_CURRENT_SOURCE_DIR}/../../proto CACHE PATH "Folder of c2r/wire/v1")
set(C2R_PROTO ${C2R_PROTO_ROOT}/c2r/wire/v1/renderer.proto)
set(C2R_PROTO_OPTIONS ${CMAKE_CURRENT_SOURCE_DIR}/proto/renderer.options)
set(C2R_MESSAGES_DIR ${CMAKE_CURRENT_BINARY_DIR}/messages)
set(C2R_MESSAGES ${C2R_MESSAGES_DIR}/c2r/wire/v1/renderer.pb.c)

add_custom_command(
  OUTPUT ${C2R_MESSAGES} ${C2R_MESSAGES_DIR}/c2r/wire/v1/renderer.pb.h
  COMMAND ${CMAKE_COMMAND} -E make_directory ${C2R_MESSAGES_DIR}
  COMMAND ${C2R_NANOPB_GENERATOR} --quiet -I ${C2R_PROTO_ROOT} -f ${C2R_PROTO_OPTIONS}
          -D ${C2R_MESSAGES_DIR} c2r/wire/v1/renderer.proto
  DEPENDS ${C2R_PROTO} ${C2R_PROTO_OPTIONS}
  VERBATIM)
