# Writes OUT with the commit of SOURCE; leaves it alone when nothing has changed, so that nothing is compiled again.
execute_process(COMMAND git describe --always --dirty WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define FT_COMMIT \"${commit}\"\n" @ONLY)
