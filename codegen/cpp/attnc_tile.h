// What generated kernels are written in: vectors, their storage, elementary functions, products and copies of tiles.
// Nothing here knows any particular attention.
#pragma once

#include "attnc_access.h"
#include "attnc_dots.h"
#include "attnc_math_float.h"
#include "attnc_narrow.h"
#include "attnc_pack.h"
#include "attnc_scan.h"
