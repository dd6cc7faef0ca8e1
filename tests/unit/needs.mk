# Test programs that need what a configuration may leave out: UNIT_OF_<symbol> := <test_ names>
UNIT_SYMBOLS := PARSER_JSON ENCRYPTION LUA BOOTENV_UBOOT BOOTENV_GRUB BOOTENV_FILE SWBUNDLE
UNIT_SYMBOLS += ARCHIVE PKCS11 HANDLER_RAW HANDLER_RAWFILE HANDLER_BOOTENV HANDLER_DUMMY

UNIT_OF_PARSER_JSON := jsonout device guard manifest manifest_select manifest_threats node template
UNIT_OF_ENCRYPTION := job_settings encrypt
UNIT_OF_LUA := luavm lua lua_told hooks called
UNIT_OF_PKCS11 := pkcs11
UNIT_OF_ARCHIVE := archive
UNIT_OF_BOOTENV_UBOOT := bootenv bootenv_uboot
UNIT_OF_BOOTENV_GRUB := bootenv bootenv_grub job_kill job_settings
UNIT_OF_BOOTENV_FILE := bootenv bootenv_file job job_kill activate recover
UNIT_OF_SWBUNDLE := build encrypt payload project
UNIT_OF_HANDLER_RAW := raw registry plan install pipeline job job_kill job_settings
UNIT_OF_HANDLER_RAWFILE := rawfile registry plan install job job_kill job_settings
UNIT_OF_HANDLER_BOOTENV := bootenv_handler job_settings
UNIT_OF_HANDLER_DUMMY := dummy
