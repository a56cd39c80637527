/* SPDX-License-Identifier: MIT */
/* Android's logging macros, to standard error: level, tag, message. */
#ifndef ION_LEGACY_CUTILS_LOG_H
#define ION_LEGACY_CUTILS_LOG_H

#include <stdio.h>

#ifndef LOG_TAG
#define LOG_TAG "ion"
#endif

#define ION_LEGACY_LOG(level, tag, ...)					\
	(fprintf(stderr, level "/%s: ", tag),				\
	 fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), (void)0)

#define ALOGV(...) ION_LEGACY_LOG("V", LOG_TAG, __VA_ARGS__)
#define ALOGD(...) ION_LEGACY_LOG("D", LOG_TAG, __VA_ARGS__)
#define ALOGI(...) ION_LEGACY_LOG("I", LOG_TAG, __VA_ARGS__)
#define ALOGW(...) ION_LEGACY_LOG("W", LOG_TAG, __VA_ARGS__)
#define ALOGE(...) ION_LEGACY_LOG("E", LOG_TAG, __VA_ARGS__)

#define SLOGV ALOGV
#define SLOGD ALOGD
#define SLOGI ALOGI
#define SLOGW ALOGW
#define SLOGE ALOGE

/* Their names before Android 4.1. */
#define LOGV ALOGV
#define LOGD ALOGD
#define LOGI ALOGI
#define LOGW ALOGW
#define LOGE ALOGE

#endif
