// Own declarations of what the plugin uses of Unreal's Core, after its public documentation: enough
// to compile against, nothing to link or to run.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>

#undef check
#define check(Expression) do { if (!(Expression)) __builtin_trap(); } while (false)
#define checkf(Expression, ...) do { if (!(Expression)) __builtin_trap(); } while (false)
#define ENGINE_MAJOR_VERSION 5
#define ENGINE_PATCH_VERSION 0
#define UE_VERSION_OLDER_THAN(Major, Minor, Patch) \
	(ENGINE_MAJOR_VERSION < (Major) || (ENGINE_MAJOR_VERSION == (Major) && ENGINE_MINOR_VERSION < (Minor)))
#define WITH_DEV_AUTOMATION_TESTS 1
#define C2RCLIENT_API
#define C2RRUNTIME_API
#define UE_ARRAY_COUNT(Array) (sizeof(Array) / sizeof((Array)[0]))
#define UE_PI (3.1415926535897932f)

#define UCLASS(...)
#define USTRUCT(...)
#define UENUM(...)
#define UPROPERTY(...)
#define UFUNCTION(...)
#define STUB_JOIN2(A, B, C, D) A##B##C##D
#define STUB_JOIN(A, B, C, D) STUB_JOIN2(A, B, C, D)
#define GENERATED_BODY(...) STUB_JOIN(CURRENT_FILE_ID, _, __LINE__, _GENERATED_BODY)
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(Name, Type, Parameter) class Name { public: void Broadcast(Type Parameter) const; }
class UClass;

typedef uint8_t uint8; typedef uint16_t uint16; typedef uint32_t uint32; typedef unsigned long long uint64;
typedef int8_t int8; typedef int16_t int16; typedef int32_t int32; typedef long long int64;
typedef char ANSICHAR; typedef char16_t TCHAR;
#undef TEXT
#define TEXT(Literal) u##Literal

template <class T> constexpr std::remove_reference_t<T>&& MoveTemp(T&& Value) { return static_cast<std::remove_reference_t<T>&&>(Value); }
template <class T> void Swap(T& A, T& B) { T C(MoveTemp(A)); A = MoveTemp(B); B = MoveTemp(C); }
template <class E> constexpr bool EnumHasAnyFlags(E Flags, E Contains) { return (static_cast<uint64>(Flags) & static_cast<uint64>(Contains)) != 0; }
#define ENUM_CLASS_FLAGS(E) \
	constexpr E operator|(E A, E B) { return static_cast<E>(static_cast<uint64>(A) | static_cast<uint64>(B)); }

template <class T> class TArray {
public:
	TArray(); TArray(std::initializer_list<T>); TArray(const TArray&); TArray(TArray&&); TArray& operator=(const TArray&); TArray& operator=(TArray&&); ~TArray();
	int32 Num() const; T* GetData(); const T* GetData() const; T& operator[](int32); const T& operator[](int32) const;
	int32 Add(const T&); int32 Add(T&&); void Append(const T*, int32); void Empty(int32 Slack = 0); void SetNumUninitialized(int32);
	template <class P> int32 RemoveAll(const P& Predicate) { int32 Gone = 0; for (const T& One : *this) Gone += Predicate(One); return Gone; }
	T* begin(); T* end(); const T* begin() const; const T* end() const;
};
template <class T> class TIndirectArray { public: const T* begin() const; const T* end() const; };
template <class K, class V> class TMap { public: V& FindOrAdd(const K&); };

class FString {
public:
	FString(); FString(const TCHAR*); FString(const FString&); FString(FString&&); FString& operator=(const FString&); FString& operator=(FString&&); FString& operator=(const TCHAR*); ~FString();
	const TCHAR* operator*() const; bool IsEmpty() const; bool operator==(const FString&) const; int32 Len() const;
	template <size_t N, class... A> static FString Printf(const TCHAR (&Format)[N], A... Arguments) {
		static_assert(((std::is_arithmetic_v<A> || std::is_pointer_v<A> || std::is_enum_v<A>) && ...), "only plain values may be printed");
		((void)Arguments, ...); return FString(Format); }
	static FString Join(const TArray<FString>&, const TCHAR* Separator);
};
class FTCHARToUTF8 { public: explicit FTCHARToUTF8(const TCHAR*); const ANSICHAR* Get() const; int32 Length() const; };
class FUTF8ToTCHAR { public: explicit FUTF8ToTCHAR(const ANSICHAR*); const TCHAR* Get() const; };
#define UTF8_TO_TCHAR(Text) (FUTF8ToTCHAR(Text).Get())
class FName { public: FName(); explicit FName(const TCHAR*); FName(const FString&) = delete; bool operator==(const FName&) const; };
class FText { public: FText(); static FText FromString(const FString&); };
#define LOCTEXT(Key, Text) (FText::FromString(TEXT(Text)))

enum class ESPMode : uint8 { NotThreadSafe = 0, ThreadSafe = 1 };
template <class T, ESPMode M = ESPMode::ThreadSafe> class TSharedRef { public:
	explicit TSharedRef(T*); template <class U, class = std::enable_if_t<std::is_convertible_v<U*, T*>>> TSharedRef(const TSharedRef<U, M>&);
	TSharedRef(const TSharedRef&); T* operator->() const; T& operator*() const; T& Get() const; };
template <class T, ESPMode M = ESPMode::ThreadSafe> class TSharedPtr { public:
	TSharedPtr(); TSharedPtr(std::nullptr_t); explicit TSharedPtr(T*); TSharedPtr(const TSharedPtr&); TSharedPtr& operator=(const TSharedPtr&); ~TSharedPtr();
	template <class U, class = std::enable_if_t<std::is_convertible_v<U*, T*>>> TSharedPtr(const TSharedRef<U, M>&);
	template <class U, class = std::enable_if_t<std::is_convertible_v<U*, T*>>> TSharedPtr(const TSharedPtr<U, M>&);
	bool IsValid() const; explicit operator bool() const; T* operator->() const; T& operator*() const; T* Get() const; void Reset(); TSharedRef<T, M> ToSharedRef() const; };
template <class T, ESPMode M = ESPMode::ThreadSafe, class... A> TSharedRef<T, M> MakeShared(A&&... Arguments) { return TSharedRef<T, M>(new T(std::forward<A>(Arguments)...)); }
template <class T, ESPMode M = ESPMode::ThreadSafe> class TSharedFromThis {};
template <class T> class TUniquePtr { public:
	TUniquePtr(); explicit TUniquePtr(T*); TUniquePtr(TUniquePtr&&); TUniquePtr& operator=(TUniquePtr&&); TUniquePtr(const TUniquePtr&) = delete;
	~TUniquePtr() { static_assert(sizeof(T) > 0, "the type must be known where it is destroyed"); }
	bool IsValid() const; T* operator->() const; T* Get() const; void Reset(); };
template <class T, class... A> TUniquePtr<T> MakeUnique(A&&... Arguments) { return TUniquePtr<T>(new T(std::forward<A>(Arguments)...)); }

template <class F> class TFunctionRef;
template <class R, class... A> class TFunctionRef<R(A...)> { public:
	template <class F, class = std::enable_if_t<std::is_invocable_r_v<R, F, A...>>> TFunctionRef(F&&) {} R operator()(A...) const; };
template <class F> class TFunction;
template <class R, class... A> class TFunction<R(A...)> { public:
	TFunction(); template <class F, class = std::enable_if_t<std::is_invocable_r_v<R, F, A...>>> TFunction(F&&) {} R operator()(A...) const; };

class FDelegateHandle { public: FDelegateHandle(); bool IsValid() const; void Reset(); };
template <class F> class TDelegate;
template <class R, class... A> class TDelegate<R(A...)> { public:
	template <class U> static TDelegate CreateRaw(U*, R (U::*)(A...)); template <class U> static TDelegate CreateSP(U*, R (U::*)(A...));
	template <class U> static TDelegate CreateUObject(U*, R (U::*)(A...)); static TDelegate CreateStatic(R (*)(A...));
	template <class F, class = std::enable_if_t<std::is_invocable_r_v<R, F, A...>>> static TDelegate CreateLambda(F&&) { return TDelegate(); } };
template <class F> class TMulticastDelegate;
template <class... A> class TMulticastDelegate<void(A...)> { public:
	template <class U> FDelegateHandle AddUObject(U*, void (U::*)(A...)); bool Remove(FDelegateHandle); };

class FCriticalSection {};
class FScopeLock { public: explicit FScopeLock(FCriticalSection*); ~FScopeLock(); };
struct FMath {
	template <class T> static T Max(T A, T B) { return A > B ? A : B; }
	template <class T> static T Clamp(T V, T L, T H) { return V < L ? L : V > H ? H : V; }
	template <class T> static T Square(T V) { return V * V; }
	static double Sqrt(double); static bool IsFinite(double); };

struct FIntPoint { int32 X = 0, Y = 0; FIntPoint(); FIntPoint(int32, int32); };
struct FIntVector { int32 X = 0, Y = 0, Z = 0; FIntVector(int32, int32, int32); };
struct FUintVector2 { uint32 X = 0, Y = 0; FUintVector2(); FUintVector2(uint32, uint32); };
struct FIntRect { FIntPoint Min, Max; int32 Width() const; int32 Height() const; FIntPoint Size() const; };
struct FVector2D { double X, Y; FVector2D(); FVector2D(double, double); };
struct FVector2f { float X, Y; FVector2f(); FVector2f(float, float); };
struct FVector4f { float X, Y, Z, W; FVector4f(); FVector4f(float, float, float, float); };
struct FVector { double X, Y, Z; FVector(double, double, double); FVector operator*(double) const; };
struct FRotator { FRotator(double Pitch, double Yaw, double Roll); };
struct FTransform { FTransform(const FRotator&, const FVector&, const FVector& Scale); };
struct FMatrix { double M[4][4]; };
struct FMatrix44f { float M[4][4]; FMatrix44f(); };
struct FReversedZPerspectiveMatrix : FMatrix { FReversedZPerspectiveMatrix(double HalfFov, double Width, double Height, double MinZ); };
struct FLinearColor { FLinearColor(float, float, float, float A = 1.0f); };

namespace ELogVerbosity { enum Type : uint8 { Fatal, Error, Warning, Display, Log, Verbose, All }; }
template <int Verbosity> struct TLogCategory {};
#define DECLARE_LOG_CATEGORY_EXTERN(Name, Default, CompileTime) extern struct FLogCategory##Name : TLogCategory<ELogVerbosity::Default> {} Name
#define DEFINE_LOG_CATEGORY(Name) FLogCategory##Name Name
#define DEFINE_LOG_CATEGORY_STATIC(Name, Default, CompileTime) [[maybe_unused]] static struct FLogCategory##Name : TLogCategory<ELogVerbosity::Default> {} Name
template <class C, size_t N, class... A> void StubLog(const C&, ELogVerbosity::Type, const TCHAR (&Format)[N], A... Arguments) {
	static_assert(((std::is_arithmetic_v<A> || std::is_pointer_v<A>) && ...), "only plain values may be logged"); (void)Format; ((void)Arguments, ...); }
#define UE_LOG(Category, Verbosity, Format, ...) StubLog(Category, ELogVerbosity::Verbosity, Format __VA_OPT__(,) __VA_ARGS__)

class IModuleInterface { public: virtual ~IModuleInterface(); virtual void StartupModule(); virtual void ShutdownModule(); };
#define IMPLEMENT_MODULE(Class, Name) static_assert(std::is_base_of_v<IModuleInterface, Class>); extern "C" IModuleInterface* InitializeModule() { return new Class(); }
class IPlugin { public: virtual ~IPlugin(); virtual FString GetBaseDir() const = 0; };
class IPluginManager { public: static IPluginManager& Get(); TSharedPtr<IPlugin> FindPlugin(const TCHAR*); };
struct FPaths { static FString Combine(const FString&, const TCHAR*); };
struct FFileHelper { static bool LoadFileToString(FString&, const TCHAR*); };
struct FApp { static bool CanEverRender(); };
struct FPlatformMisc { static FString GetEnvironmentVariable(const TCHAR*); };
struct FPlatformProcess { static void Sleep(float Seconds); };
typedef TDelegate<bool(float)> FTickerDelegate;
class FTSTicker { public: struct FDelegateHandle {}; static FTSTicker& GetCoreTicker(); FDelegateHandle AddTicker(const FTickerDelegate&, float Delay = 0.0f); static void RemoveTicker(FDelegateHandle); };

enum EConsoleVariableFlags { ECVF_Default = 0, ECVF_RenderThreadSafe = 32 };
template <class T> class TAutoConsoleVariable { public: TAutoConsoleVariable(const TCHAR*, const T&, const TCHAR*, uint32 Flags = ECVF_Default); T GetValueOnGameThread() const; };
class UWorld;
typedef TDelegate<void(const TArray<FString>&, UWorld*)> FConsoleCommandWithWorldAndArgsDelegate;
class FAutoConsoleCommandWithWorldAndArgs { public: FAutoConsoleCommandWithWorldAndArgs(const TCHAR*, const TCHAR*, const FConsoleCommandWithWorldAndArgsDelegate&, uint32 Flags = ECVF_Default); };

// 5.5 made the flags an enum class; before, they were a namespace-like struct of an unscoped enum.
#if ENGINE_MINOR_VERSION >= 5
enum class EAutomationTestFlags : uint32 { None = 0, EditorContext = 1, ClientContext = 2, EngineFilter = 0x02000000 };
ENUM_CLASS_FLAGS(EAutomationTestFlags)
typedef EAutomationTestFlags FStubTestFlags;
#else
namespace EAutomationTestFlags { enum Type { EditorContext = 1, ClientContext = 2, EngineFilter = 0x02000000 }; }
typedef uint32 FStubTestFlags;
#endif
class FAutomationTestBase { public: FAutomationTestBase(const FString&, bool); virtual ~FAutomationTestBase();
	bool TestTrue(const TCHAR*, bool); bool TestFalse(const TCHAR*, bool); bool TestEqual(const TCHAR*, int32, int32); bool TestEqual(const TCHAR*, double, double, double Tolerance);
	virtual bool RunTest(const FString& Parameters) = 0; };
#define IMPLEMENT_SIMPLE_AUTOMATION_TEST(Class, Name, Flags) class Class : public FAutomationTestBase { public: \
	Class() : FAutomationTestBase(TEXT(#Class), false) {} static constexpr FStubTestFlags TestFlags = (Flags); virtual bool RunTest(const FString& Parameters) override; }; \
	namespace { Class Class##Instance; }
