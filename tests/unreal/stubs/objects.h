// The same of CoreUObject and Engine.
#pragma once
#include "core.h"

class UClass; class UWorld; class UGameInstance;
class UObject { public: UObject(); virtual ~UObject(); UWorld* GetWorld() const; };
template <class T> class TObjectPtr { public: TObjectPtr(); TObjectPtr(T*); TObjectPtr& operator=(T*); T* Get() const; operator T*() const; T* operator->() const; };
template <class T> class TWeakObjectPtr { public: TWeakObjectPtr(); TWeakObjectPtr(T*); TWeakObjectPtr& operator=(T*); T* Get() const; bool IsValid() const; };
template <class T> class TStrongObjectPtr { public: TStrongObjectPtr(); explicit TStrongObjectPtr(T*); T* Get() const; };
template <class T> const T* GetDefault();
template <class T> T* NewObject(UObject* Outer);
struct FCoreUObjectDelegates { static TMulticastDelegate<void(UWorld*)> PostLoadMapWithWorld; };
namespace ConstructorHelpers { template <class T> struct FObjectFinder { T* Object; explicit FObjectFinder(const TCHAR*); }; }

class UDeveloperSettings : public UObject { public: virtual FName GetCategoryName() const; };
class FSubsystemCollectionBase;
class USubsystem : public UObject { public: virtual bool ShouldCreateSubsystem(UObject* Outer) const; virtual void Initialize(FSubsystemCollectionBase&); virtual void Deinitialize(); };
class UGameInstanceSubsystem : public USubsystem { public: UGameInstance* GetGameInstance() const; };
class UGameInstance : public UObject { public: template <class T> T* GetSubsystem() const { static_assert(std::is_base_of_v<UGameInstanceSubsystem, T>); return nullptr; } };
class UWorld : public UObject { public: UGameInstance* GetGameInstance() const; };
namespace EWorldType { enum Type { None, Game, Editor, PIE }; }
struct FWorldContext { EWorldType::Type WorldType; TObjectPtr<UGameInstance> OwningGameInstance; };
class UFont; class APlayerController;
class UEngine : public UObject { public: UFont* GetSmallFont(); const TIndirectArray<FWorldContext>& GetWorldContexts() const; };
extern UEngine* GEngine;
class UCanvas : public UObject { public: void SetDrawColor(uint8 R, uint8 G, uint8 B, uint8 A); double DrawText(const UFont*, const FString&, float X, float Y); };
typedef TDelegate<void(UCanvas*, APlayerController*)> FDebugDrawDelegate;
class UDebugDrawService : public UObject { public: static FDelegateHandle Register(const TCHAR*, const FDebugDrawDelegate&); static void Unregister(FDelegateHandle); };

class USceneComponent : public UObject { public: void SetupAttachment(USceneComponent*); void RegisterComponent(); void DestroyComponent(); };
class UStaticMesh : public UObject {};
class UMaterialInterface : public UObject {};
class UMaterialInstanceDynamic : public UMaterialInterface { public: static UMaterialInstanceDynamic* Create(UMaterialInterface*, UObject*); void SetVectorParameterValue(FName, FLinearColor); };
class UInstancedStaticMeshComponent : public USceneComponent { public: bool SetStaticMesh(UStaticMesh*); void SetMaterial(int32, UMaterialInterface*); int32 AddInstance(const FTransform&, bool bWorldSpace = false); };
class AActor : public UObject { public: virtual void OnConstruction(const FTransform&); TObjectPtr<USceneComponent> RootComponent; template <class T> T* CreateDefaultSubobject(FName); template <class T> T* CreateDefaultSubobject(const TCHAR*); };

enum EPixelFormat : uint8 { PF_Unknown, PF_B8G8R8A8, PF_R8G8B8A8, PF_R32_FLOAT, PF_G16R16F };
struct FUpdateTextureRegion2D { FUpdateTextureRegion2D(uint32, uint32, int32, int32, uint32, uint32); };
class FTextureResource;
class UTexture2D : public UObject { public: static UTexture2D* CreateTransient(int32 X, int32 Y, EPixelFormat = PF_B8G8R8A8); uint8 SRGB : 1; void UpdateResource(); FTextureResource* GetResource(); int32 GetSizeX() const; int32 GetSizeY() const;
	void UpdateTextureRegions(int32 Mip, uint32 Count, const FUpdateTextureRegion2D*, uint32 Pitch, uint32 Bpp, uint8*, TFunction<void(uint8*, const FUpdateTextureRegion2D*)> Cleanup = TFunction<void(uint8*, const FUpdateTextureRegion2D*)>()); };
